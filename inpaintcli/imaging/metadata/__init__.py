"""What a file says besides its pixels, and what of it may stay once the photo is filled."""
