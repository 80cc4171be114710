"""The backend service: an I/O process that owns sockets, journal and queue, and workers that own torch."""
