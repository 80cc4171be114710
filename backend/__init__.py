"""The compute backend: one photo in, a moving avatar out."""
