"""Importing a framework without scikit-learn, which XGBoost and LightGBM import if it is there.

They do so for estimators of their own, which their backends do not serve. Each brings an OpenMP runtime, and two of
them in one process have crashed on arm64; and it takes a second.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

UNWANTED = "sklearn"


@contextmanager
def without_sklearn() -> Iterator[None]:
    """Let scikit-learn not be found, unless it has been imported already."""
    hidden = UNWANTED not in sys.modules
    if hidden:
        sys.modules[UNWANTED] = None  # type: ignore[assignment]  # Python's way to say "cannot be imported"
    try:
        yield
    finally:
        if hidden:
            del sys.modules[UNWANTED]
