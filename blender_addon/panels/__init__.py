"""What the sidebar shows: `draw` reads properties and calls nothing."""
