"""NET + CASE -> PREDICTION: windows over the image, probabilities blended, the label on the input's own grid."""
