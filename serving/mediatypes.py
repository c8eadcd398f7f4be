"""Content-Type and Accept headers: tolerant reading, and RFC 9110's choice of the answer's format."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from serving.errors import NotAcceptableError, quoted

ANY = "*/*"
# Quality when an Accept element states none, and for a weight that is no number (RFC 9110, 12.4.2).
FULL = 1.0


class MediaType(NamedTuple):
    """`type/subtype` in lower case, with its parameters; also an Accept header's range with a `q`."""

    name: str
    parameters: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def parse(cls, text: str) -> "MediaType":
        """Read one media type; odd spacing, case and quotes are tolerated, nonsense gives a name nobody has."""
        name, *rest = text.split(";")
        pairs = (part.partition("=") for part in rest if "=" in part)
        return cls(
            name.strip().lower(),
            {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs},
        )

    @property
    def quality(self) -> float:
        """The weight from 0 (refused) to 1."""
        try:
            return min(FULL, max(0.0, float(self.parameters.get("q", FULL))))
        except ValueError:
            return FULL

    def matches(self, media_type: str) -> int:
        """How closely a range fits a media type: 3 the type itself, 2 `type/*`, 1 `*/*`, 0 not at all."""
        if self.name == media_type:
            return 3
        if self.name == media_type.partition("/")[0] + "/*":
            return 2
        return 1 if self.name in (ANY, "*") else 0


def negotiate(accept: str, offered: Sequence[str], default: str, obstacle: Callable[[str], str] = lambda _: "") -> str:
    """The media type to answer in.

    Highest quality wins; of equals the one that the header names first, and where only a wildcard matches
    `default`, then the order of `offered`. `obstacle(media_type)` tells why a type cannot carry this answer
    (empty where it can).

    Raises:
        NotAcceptableError: nothing accepted is offered, or only what cannot carry the answer.
    """
    ranges = [MediaType.parse(part) for part in accept.split(",") if part.strip()] or [MediaType(ANY)]
    preference = [default, *(name for name in offered if name != default)]
    ranked = sorted(
        (name for name in preference if _weight(name, ranges) > 0),
        key=lambda name: (-_weight(name, ranges), _position(name, ranges)),
    )
    for name in ranked:
        if not obstacle(name):
            return name
    if ranked:
        raise NotAcceptableError(f"Accept: {obstacle(ranked[0])}")
    raise NotAcceptableError(f"Accept: expected one of {', '.join(offered)}, got {quoted(accept)}")


def _weight(name: str, ranges: Sequence[MediaType]) -> float:
    """The quality that the closest range gives to a media type; 0 where none matches."""
    closest = max(ranges, key=lambda r: r.matches(name))
    return closest.quality if closest.matches(name) else 0.0


def _position(name: str, ranges: Sequence[MediaType]) -> int:
    """Where the header names the type; after all of them where only a wildcard matches."""
    return next((i for i, r in enumerate(ranges) if r.matches(name) == 3), len(ranges))  # noqa: PLR2004
