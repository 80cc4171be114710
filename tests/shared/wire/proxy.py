"""A TCP proxy that delays, trickles, cuts, half-closes and freezes: what networks do."""

import contextlib
import queue
import selectors
import socket
import threading
import time


class Proxy:
    """Passes connections on to `target` (host, port) until told otherwise. One thread."""

    def __init__(self, target):
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._other = {}  # socket -> where its bytes go
        self.delay, self.trickle, self.frozen, self.cut_after = 0.0, 1 << 16, False, None
        self.passed = 0  # bytes, both ways together
        self._ending, self._wanted = False, queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending = True
        self._thread.join()

    def cut(self):
        """Close every connection; new ones are taken."""
        self._wanted.put(self._close)

    def half_close(self):
        """No more bytes towards the client, while it may still send."""
        self._wanted.put(lambda one: one.shutdown(socket.SHUT_WR))

    def _run(self):
        while not self._ending:
            while not self._wanted.empty():
                self._to_all(self._wanted.get())
            for key, _ in self._selector.select(0.01):
                if key.fileobj is self._listener:
                    self._accept()
                elif not self.frozen and key.fileobj in self._other:
                    self._pass_on(key.fileobj)
            if self.frozen:
                time.sleep(0.01)
        self._to_all(self._close)
        self._listener.close()
        self._selector.close()

    def _to_all(self, action):
        for one in list(self._other):
            with contextlib.suppress(OSError):
                action(one)

    def _accept(self):
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection(self._target)
        except OSError:  # nobody is there
            near.close()
            return
        for one, other in ((near, far), (far, near)):
            self._other[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, one):
        try:
            data = one.recv(self.trickle)
            time.sleep(self.delay)
            self._other[one].sendall(data)
            self.passed += len(data)
        except (OSError, KeyError):
            data = b""
        if self.cut_after is not None:
            self.cut_after -= len(data)
        if not data or (self.cut_after is not None and self.cut_after < 0):
            self._close(one)

    def _close(self, one):
        other = self._other.pop(one, None)
        if other is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(one)
            one.close()
            self._close(other)
