"""A backend that only pretends: the real protocol with a capsule person behind it, on numpy and pyzmq alone."""

from .server import MockServer

__all__ = ["MockServer"]
