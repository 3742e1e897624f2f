"""Patch synthesis: a hole's texture from the photo around it; arrays only."""
