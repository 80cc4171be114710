"""Avatar, motion and camera to frames and files."""
