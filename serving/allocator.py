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
# So much may be free at the end of a thread's memory before it is given back: some twenty pictures. With four times as
# much the server has 25 to 55 MB more where requests hold several, and is no quicker (docs/performance.md).
KEPT_BYTES = 16 * 1024 * 1024
# A freed block of 64 kB or more has glibc look whether the end of the thread's memory is to be given back.
TRIMMING_BYTES = 128 * 1024
# The user's own word (mallopt(3)); each switches off what glibc does by itself.
VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


def keep_freed_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Have it so in this process; False where the user has tuned the allocator, or it is another than glibc's."""
    libc = _glibc()
    if libc is None or _is_tuned(environment):
        return False
    return bool(libc.mallopt(M_MMAP_THRESHOLD, REUSED_BYTES) and libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))


def give_back(environment: Mapping[str, str] = os.environ) -> None:
    """Give what is free back to the system, once: after the last step of this thread's that has freed much.

    `malloc_trim` leaves the end of each thread's own memory as it is, which after loading a model is some 20 MB. A
    thread gives it back when it frees something, if the threshold lets it.
    """
    libc = _glibc()
    if libc is None:
        return
    libc.malloc_trim(0)
    if not _is_tuned(environment):
        libc.mallopt(M_TRIM_THRESHOLD, 0)
        libc.free(libc.malloc(TRIMMING_BYTES))
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def _is_tuned(environment: Mapping[str, str]) -> bool:
    return any(environment.get(name) for name in VARIABLES)


def _glibc() -> ctypes.CDLL | None:
    """The allocator; None if it is another one."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return None
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    return libc
