"""WHAT THE NET DOES: figures of it, and what it makes of one image.

```
diagram     config -> SVG: walks down the encoder and up the decoder
|- figure       the layer table, sorted into the levels of the U
|- layout       how sizes become pixels, how far apart levels stand
|- legend       what the marks mean, and the totals
`- svg          bars, arrows and words

trace           (net, window) -> what every row of the layer table keeps of image and answer
story           (case, voxel) -> its value through every step of preparation
attention_maps  (net, windows) -> maps of the gates, and a verdict on each
cam             (net, window, class) -> where its evidence lies
gradients       (net, loss) -> what reaches each layer, and faults
doctor          a run's curves -> what is wrong, what to try
`- history      metrics.csv -> curves
suspects        Dice of held-out cases, a label and a prediction -> labels to check, and what is odd about them
levels          which voxels of the image a level's voxels are
```
"""
