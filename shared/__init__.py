"""What both processes, the backend and Blender, must agree on."""
