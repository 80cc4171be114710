"""The photo: decoded safely, its person found, landmarks and matte taken."""

from .decode import Photo, read_photo
from .matte import matte_providers
from .observe import observe

__all__ = ["Photo", "matte_providers", "observe", "read_photo"]
