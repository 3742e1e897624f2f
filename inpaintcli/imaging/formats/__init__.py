"""One module for each file format of pictures; each is a `picture_format.PictureFormat`."""
