"""What a test does on a machine that lacks what it needs."""

import os
from typing import Final, NoReturn

import pytest

CI_VARIABLE: Final = "CI"
MARK: Final = "LEFT OUT"
"""How the reason of such a skip begins; the summary at the end of a run lists them."""


def leave_out(reason: str) -> NoReturn:
    """Fail where CI is set, which must not pass by leaving tests out; skip loudly elsewhere.

    A developer without an engine or a network still gets the other tests' verdict.
    """
    if os.environ.get(CI_VARIABLE):
        pytest.fail(reason, pytrace=False)
    pytest.skip(f"{MARK}, {reason}")
