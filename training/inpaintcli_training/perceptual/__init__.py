"""Pretrained feature networks, from local files."""
