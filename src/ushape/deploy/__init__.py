"""NET -> SMALLER, PORTABLE NET: ONNX and OpenVINO files, INT8, pruning, distillation."""
