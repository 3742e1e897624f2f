"""From a box, a point or a polygon to the pixels of an object."""
