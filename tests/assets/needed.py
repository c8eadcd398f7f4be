"""What a test does when an asset it needs cannot be had."""

from collections.abc import Callable
from typing import TypeVar

from assets.fetch import AssetError
from harness.leaving_out import leave_out

Asset = TypeVar("Asset")


def needed(get: Callable[[], Asset]) -> Asset:
    """What `get` returns; if it raises AssetError, the test fails where CI is set and is skipped elsewhere."""
    try:
        return get()
    except AssetError as error:
        leave_out(f"a needed asset is missing: {error}")
