"""Pictures and masks: reading, writing, metadata, regions and tiles."""
