"""Puts the loggers back after a test that lets the program configure them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from serving.logs import JsonFormatter


@contextmanager
def restored() -> Iterator[None]:
    """What `serving.logs.configure` did ends with this."""
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn")
    levels = root.level, uvicorn.level
    yield
    for handler in list(root.handlers):
        if isinstance(handler.formatter, JsonFormatter):
            root.removeHandler(handler)
    root.setLevel(levels[0])
    uvicorn.setLevel(levels[1])
