"""Example photos."""
