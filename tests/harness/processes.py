"""Processes of this machine that are not ours to wait for."""

from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether it runs: neither gone nor only waiting to be collected by whoever inherited it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
