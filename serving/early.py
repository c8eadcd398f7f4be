"""The fast way as long as there is no model: an ordinary invocation is told so, and nothing is imported for it.

Some callers ask the model itself until it answers, instead of `/ping`.
"""

from collections.abc import Callable

from serving import plain
from serving.answer import Answer, refused
from serving.lifecycle import Lifecycle
from serving.ping import not_ready

Respond = Callable[[Answer], None]


class EarlyRide:
    """One request that is refused; what `serving.connection` asks of a ride."""

    is_last = False

    def __init__(self, lifecycle: Lifecycle, respond: Respond) -> None:
        self._lifecycle = lifecycle
        self._respond = respond

    def start(self, body: bytes) -> None:
        """Refuse it."""
        del body
        self._respond(refused(not_ready(self._lifecycle)))

    def reserve(self, size: int, begin: Callable[[], None]) -> None:
        """Refuse it before its body has come."""
        del size, begin
        self.start(b"")

    def leave(self) -> None:
        """The client is gone."""

    def hold(self, abort: Callable[[], None]) -> None:
        """The answer is not taken yet; it is short."""

    def let_go(self) -> None:
        """The answer is sent."""


class Early:
    """Stands in for `serving.express.Express` until that can be made."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def take(self, head: bytes, respond: Respond) -> tuple[EarlyRide, int, bool] | None:
        """As `Express.take`; refused is what comes while there is a model to be expected."""
        found = plain.read(head, plain.INVOCATION) if self._lifecycle.is_getting_ready else None
        if found is None or not found.length:
            return None
        return EarlyRide(self._lifecycle, respond), found.length, found.keeps_alive
