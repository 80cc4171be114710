"""How many files and connections this process may have open: some systems give a program few, unless it asks."""

from __future__ import annotations

import sys

from shared.wire import limits

if sys.platform == "win32":

    def raise_limit() -> None:
        """Ask for `limits.OPEN_FILES`. This system gives as many without."""

else:
    import resource

    def raise_limit() -> None:
        """Ask for `limits.OPEN_FILES`, or for as many as the administrator allows."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        allowed = limits.OPEN_FILES if hard == resource.RLIM_INFINITY else min(limits.OPEN_FILES, hard)
        if resource.RLIM_INFINITY != soft < allowed:
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
