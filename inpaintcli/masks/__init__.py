"""Where the hole of a photo comes from: mask files, transparency, a colour, shapes."""
