"""What a photo is: pixels, mask, and what the file said besides."""
