"""Files in which the kernel tells of the machine and of this process's group, below /proc and /sys."""

from pathlib import Path


def text_of(path: Path) -> str:
    """The file's text, empty if it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return ""
