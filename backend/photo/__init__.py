"""The photo: decoded safely, its person found, landmarks and matte taken."""
