"""What differs between a photo and what was made of it."""
