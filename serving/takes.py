"""What a setting's variable takes: in words, and how its text is read."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Takes(NamedTuple):
    """What a variable takes: in words, and as a function that raises ValueError for anything else."""

    words: str
    parse: Callable[[str], Any]


def number(low: float, high: float, kind: type[int] | type[float] = int) -> Takes:
    """A number from `low` to `high`."""

    def parse(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise ValueError
        return value

    noun = "a whole number" if kind is int else "a number"
    return Takes(f"{noun} from {low} to {high}", parse)


def choice(*values: str) -> Takes:
    """One of these, in capitals or not."""

    def parse(text: str) -> str:
        if text.strip().lower() not in values:
            raise ValueError
        return text.strip().lower()

    return Takes("one of " + ", ".join(values), parse)


def switch() -> Takes:
    """Something that is on or off."""
    word = choice("on", "off", "true", "false", "1", "0")
    return Takes("on or off", lambda text: word.parse(text) in ("on", "true", "1"))


def level(text: str) -> int:
    """A log level's number or name. Raises ValueError."""
    if text.strip().isdigit():
        return int(text)
    if text.strip().upper() not in LEVELS:
        raise ValueError
    return int(logging.getLevelNamesMapping()[text.strip().upper()])


def media_type(text: str) -> str:
    """A media type without parameters. Raises ValueError."""
    kind = text.strip().lower()
    if not re.fullmatch(r"[\w.+-]+/[\w.+-]+", kind, re.ASCII):
        raise ValueError
    return kind


PATH = Takes("a directory", Path)
TEXT = Takes("a host name or address", str)
NAME = Takes("a name", str.strip)


def names(text: str) -> tuple[str, ...]:
    """Names with commas between."""
    return tuple(filter(None, map(str.strip, text.split(","))))


NAMES = Takes("names with commas between", names)
