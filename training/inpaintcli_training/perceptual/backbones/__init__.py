"""Architectures of pretrained feature networks, one family a file."""
