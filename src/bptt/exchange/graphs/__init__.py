"""ONNX graphs as data: written of a model, and read from what others wrote."""
