"""SMPL-X-format bodies: loading, fast posing, face landmarks."""
