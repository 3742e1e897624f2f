"""TensorRT: plans built from ONNX, compared, cached, run."""
