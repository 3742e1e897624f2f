"""Where photos, masks and outputs are kept: files of this machine, or objects in a remote store."""
