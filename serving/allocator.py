"""How this process's memory is kept: freed memory is reused, not given back to the system and asked for again.

A request of a picture takes and frees a dozen buffers of a megabyte. glibc gives blocks of that size back at once,
and the system clears every page anew when they are taken again, which for such requests is a sixth of all work
(an echo of 600 kB bodies is three times as fast without it).
"""

import ctypes
import os
from collections.abc import Mapping

# mallopt(3): parameters by number, as malloc.h has them.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# Blocks up to this size are reused: the largest body's, 25 MB, among them. It is glibc's own upper bound for it.
REUSED_BYTES = 32 * 1024 * 1024
# So much may be free before the rest is given back.
KEPT_BYTES = 64 * 1024 * 1024
# The user's own word (mallopt(3)); each switches off what glibc does by itself.
VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


def give_back() -> None:
    """Give all that is free back to the system, once: after a step that freed much and is not made again."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def keep_freed_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Have it so in this process; False where the user has tuned the allocator, or it is another than glibc's."""
    if any(environment.get(name) for name in VARIABLES):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, REUSED_BYTES) and mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))
