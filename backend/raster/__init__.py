"""Splats and meshes to pixels."""
