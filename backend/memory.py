"""The most memory that a process was resident with since it was last asked to forget. Linux alone tells it so."""

from __future__ import annotations

from pathlib import Path


def forget_peak(pid: int | str = "self") -> None:
    """Let the peak start again from what is resident now."""
    switch = Path(f"/proc/{pid}/clear_refs")
    if switch.exists():
        switch.write_text("5", encoding="ascii")


def peak_mb(pid: int | str = "self") -> float | None:
    """Megabytes; None where the platform does not tell, or the process has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    peak = next((line for line in lines if line.startswith("VmHWM")), None)
    return None if peak is None else round(int(peak.split()[1]) * 1024 / 1e6, 1)
