"""How much memory this process alone holds: without mapped files, which rings of pixels are."""

from __future__ import annotations

import sys

if sys.platform == "linux":
    import os
    from functools import cache

    _PAGE = os.sysconf("SC_PAGE_SIZE")

    def held() -> int:
        """Bytes; 0 where the system does not tell."""
        _, resident, shared, *_ = os.pread(_statm(), 200, 0).split()
        return (int(resident) - int(shared)) * _PAGE

    @cache
    def _statm() -> int:
        """Kept open: there may be no descriptor left when it is asked."""
        return os.open("/proc/self/statm", os.O_RDONLY)

elif sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    class _Counters(ctypes.Structure):  # PROCESS_MEMORY_COUNTERS_EX
        _fields_ = (
            ("size", wintypes.DWORD),
            ("page_faults", wintypes.DWORD),
            *((f"other_{number}", ctypes.c_size_t) for number in range(8)),
            ("private", ctypes.c_size_t),
        )

    def held() -> int:
        """Bytes; 0 where the system does not tell."""
        counters, kernel = _Counters(), ctypes.windll.kernel32
        counters.size = ctypes.sizeof(counters)
        kernel.K32GetProcessMemoryInfo(wintypes.HANDLE(-1), ctypes.byref(counters), counters.size)
        return int(counters.private)

else:

    def held() -> int:
        """Bytes; 0 where the system does not tell: macOS tells only the most that there ever was."""
        return 0
