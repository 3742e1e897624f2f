"""Checkpoint to ONNX and card."""
