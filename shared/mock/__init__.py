"""A backend that only pretends: the real protocol with a capsule person behind it, on numpy and pyzmq alone."""
