"""Packaged data: the open body."""
