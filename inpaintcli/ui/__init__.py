"""The local page: paint masks, fill, compare and save by hand, in a browser on this machine."""
