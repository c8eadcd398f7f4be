"""Running a test that is a coroutine, with an end."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

DEADLINE_SECONDS: Final = 30.0
"""After which a test that hangs fails; few take a hundredth of it."""


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]], seconds: float = DEADLINE_SECONDS) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await test()

    asyncio.run(bounded())
