"""GIMP: the worker that its plug-in asks, and what installs the plug-in."""
