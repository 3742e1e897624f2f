"""Losses and discriminators."""
