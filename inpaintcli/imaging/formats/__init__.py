"""One module for each picture format: its suffixes, how it is recognised, read and written."""
