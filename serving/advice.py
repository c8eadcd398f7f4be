"""madvise(2): telling the kernel how parts of this process's memory are used."""

import ctypes
from collections.abc import Callable
from typing import TypeAlias

# Tells the kernel of a block: address, bytes, advice; what comes back is an error's number or 0.
Advise: TypeAlias = Callable[[int, int, int], int]


def madvise() -> Advise:
    """The system's."""
    library = ctypes.CDLL(None, use_errno=True)
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

    def advise(address: int, length: int, advice: int) -> int:
        return ctypes.get_errno() if library.madvise(address, length, advice) else 0

    return advise
