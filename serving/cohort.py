"""Small bodies that came in one turn of the event loop, read when all have come: those that are alike at once.

    turn n:   data -> body, data -> body, ...        what the sockets have
    turn n+1: decode -> validate -> admit            for all of them

Done request by request, each step would find the processor's caches full of the others: a small body of JSON takes
15 us to decode then, instead of 6, and 12 to validate instead of 4. `serving.codecs.rows` reads the whole cohort in
less than two take one by one. The next turn costs a lone request 15 us, so who comes when the last one was alone, and
nobody else is there, is read at once.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from serving.invocations import Begun, Invocation

# Larger bodies are begun by themselves, at once: reading one takes longer than what is gained. And no more than these
# together are read at once: a row of 1,000 numbers is 9 kB, and four of them are read sooner than two or 28, for what
# simdjson writes of a text is many times as long, and after a run of a large model all that is new to the caches.
SMALL_BYTES = 32 * 1024

# Called with what is ready to be run, or with the error that it came to.
Ready: TypeAlias = Callable[["Begun | Exception"], None]


class Member(NamedTuple):
    """A request with its body, and who is told when it is read."""

    invocation: "Invocation"
    body: bytes
    ready: Ready


class Cohort:
    """Belongs to the running loop, on which everything here is called."""

    def __init__(self) -> None:
        self._members: list[Member] = []
        self._was_lone = True

    def add(self, invocation: "Invocation", body: bytes, ready: Ready) -> None:
        """Have this read; `ready` is called once, now or in the loop's next turn."""
        is_lone = self._was_lone and not self._members and not invocation.has_company
        if is_lone or len(body) >= SMALL_BYTES:
            invocation.announce()
            ready(invocation.attempt(body))
            return
        if not self._members:
            # Before it is announced: it is read, and so submitted, before anybody looks whether a batch may leave.
            asyncio.get_running_loop().call_soon(self._read)
        self._members.append(Member(invocation, body, ready))
        invocation.announce()

    def _read(self) -> None:
        members, self._members = self._members, []
        self._was_lone = len(members) == 1
        for group in _alike(members):
            begun = group[0].invocation.begin_together([member.body for member in group]) if len(group) > 1 else None
            if begun is None:
                for member in group:
                    member.ready(member.invocation.attempt(member.body))
            else:
                for member, one in zip(group, begun, strict=True):
                    member.ready(one)


def _alike(members: list[Member]) -> Iterator[list[Member]]:
    """Those of one invocation, as they came, and no more than may be read at once."""
    groups: dict[Invocation, list[Member]] = {}
    for member in members:
        groups.setdefault(member.invocation, []).append(member)
    for group in groups.values():
        start, size = 0, 0
        for end, member in enumerate(group):
            if size + len(member.body) > SMALL_BYTES:
                yield group[start:end]
                start, size = end, 0
            size += len(member.body)
        yield group[start:]
