"""The fast way from a connection to the model: the same steps as ASGI's, called back instead of awaited.

Through uvicorn, Starlette and a task of its own a request costs some 150 us; this way it is a fifth of that.
It takes requests of the ordinary kind alone (`serving.heads`), when a model is in service and no script
answers in its place. `serving.connection` sends everything else the general way.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from serving.answer import Answer, refused
from serving.cohort import Cohort
from serving.errors import OverloadedError, ServingError
from serving.heads import Head, read
from serving.invocations import OFFLOAD_BYTES, Asked, Begun, Invocation, size_of
from serving.metrics import CLIENT_CLOSED
from serving.parts import Outcome
from serving.service import Service

if TYPE_CHECKING:
    from serving.room import Place

log = logging.getLogger(__name__)

# Heads that are remembered with what they ask for. A client's differ in their length alone, if at all; where
# each has an id of its own, reading it again costs some 15 us.
MOST_HEADS = 1024

Respond = Callable[[Answer], None]


class Ride:
    """One request on the fast way, from its head to its answer.

    `respond` is called once, after `start` or `reserve`, unless `leave` was called before; `let_go` is owed to it then.
    """

    __slots__ = ("_alarm", "_cohort", "_has_left", "_invocation", "_place", "_respond", "_service", "_started", "_stop")

    def __init__(self, service: Service, cohort: Cohort, invocation: Invocation, respond: Respond) -> None:
        self._service = service
        self._cohort = cohort
        self._invocation = invocation
        self._respond = respond
        self._started = monotonic()
        # It leads back to this ride: dropped with the answer, or the arrays would stay until the collector comes by.
        self._stop: Callable[[], object] | None = None
        self._has_left = False
        self._place: Place | None = None  # a large body's
        self._alarm: asyncio.TimerHandle | None = None  # until it is whole, and until its answer is sent

    @property
    def is_last(self) -> bool:
        """Whether the caller's next request belongs to another server."""
        return self._service.lifecycle.is_stopping

    def reserve(self, size: int, begin: Callable[[], None]) -> None:
        """Have `begin` called, perhaps at once, when there is room for a body of so many bytes.

        Where there is none in time, or it is not whole in time from then on, the answer says so.
        """

        def given() -> None:
            self._watch(place)
            begin()

        try:
            place = self._place = self._service.room.ask(size, given)
        except OverloadedError as error:
            self._fail(error)
            return
        self._watch(place)
        if place.is_given:
            begin()

    def start(self, body: bytes) -> None:
        """Run the request now that its body is whole."""
        self._silence()
        if self._invocation.is_long(body):
            self._follow(asyncio.get_running_loop().create_task(self._invocation.run(body)))
        else:
            self._cohort.add(self._invocation, body, self._begin)

    def leave(self) -> None:
        """The client is gone: drop the request if it has not been run."""
        self._has_left = True
        self._silence()
        stop, self._stop = self._stop, None
        if stop:
            stop()
        self.let_go()
        log.info("the client left before its answer")
        self._service.metrics.request(CLIENT_CLOSED, monotonic() - self._started)

    def _begin(self, begun: Begun | Exception) -> None:
        """Its body is read."""
        if self._has_left:
            return
        if isinstance(begun, Exception):
            self._fail(begun)
            return
        dispatcher = begun.serving.dispatcher
        try:
            entries = dispatcher.submit(
                begun.inputs, lambda outcome: self._ran(begun, outcome), begun.writing.splitting(begun.form)
            )
        except Exception as error:  # noqa: BLE001 (rendered by the one table)
            self._fail(error)
        else:
            self._stop = lambda: dispatcher.cancel(entries)

    def _ran(self, begun: Begun, outcome: Outcome) -> None:
        if isinstance(outcome, ServingError):
            self._fail(outcome)
            return
        if isinstance(outcome, Answer):
            self._answer(outcome)
            return
        if size_of(outcome) >= OFFLOAD_BYTES:
            self._follow(asyncio.get_running_loop().create_task(self._invocation.finish(begun, outcome)))
            return
        try:
            answer = self._invocation.end(begun, outcome)
        except Exception as error:  # noqa: BLE001 (rendered by the one table)
            self._fail(error)
        else:
            self._answer(answer)

    def _follow(self, task: "asyncio.Task[Answer]") -> None:
        """Answer with what the task gives; it holds what is too long to be done on the loop."""
        self._stop = task.cancel
        task.add_done_callback(self._followed)

    def _followed(self, task: "asyncio.Task[Answer]") -> None:
        # A task that had just ended cannot be cancelled any more.
        if task.cancelled() or self._has_left:
            return
        error = task.exception()
        if error is None:
            self._answer(task.result())
        else:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, ServingError):
            log.error("an invocation failed unexpectedly", exc_info=error)
            error = ServingError()
        self._answer(refused(error))

    def _answer(self, answer: Answer) -> None:
        self._silence()
        self._stop = None
        self._service.metrics.request(answer.status, monotonic() - self._started)
        self._respond(answer)

    def hold(self, abort: Callable[[], None]) -> None:
        """Its answer is not all sent, and so not out of hand: to be called off if that takes too long."""
        if self._place:
            self._alarm = asyncio.get_running_loop().call_later(self._service.settings.timeout, abort)

    def let_go(self) -> None:
        """Its answer is sent: what it took is free."""
        self._silence()
        place, self._place = self._place, None
        if place:
            self._service.room.leave(place)

    def _watch(self, place: "Place") -> None:
        self._silence()
        timeout = self._service.settings.timeout
        late = place.patience(timeout)
        self._alarm = asyncio.get_running_loop().call_later(late, lambda: self._fail(place.late(timeout)))

    def _silence(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None


class Found(NamedTuple):
    """What a head asks for: the length of the body, what runs it, and whether the connection is kept then."""

    length: int
    invocation: Invocation
    keeps_alive: bool


class Express:
    """Finds what a head asks for; remembers the heads."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._limit = service.settings.max_payload_bytes
        self._known: dict[bytes, Found | None] = {}
        # Heads that differ in their length alone ask for the same: a cohort reads at once what has one invocation.
        self._invocations: dict[Asked, Invocation] = {}
        self._cohort = Cohort()

    def take(self, head: bytes, respond: Respond) -> tuple[Ride, int, bool] | None:
        """Begin a request with this head: its ride, the length of its body, and whether its connection is kept.

        None where the general way must be taken.
        """
        found = self._find(head)
        if found is None:
            return None
        length, invocation, keeps = found
        return Ride(self._service, self._cohort, invocation, respond), length, keeps

    def _find(self, head: bytes) -> Found | None:
        if self._service.script is not None or not self._service.lifecycle.is_serving:
            return None
        try:
            return self._known[head]
        except KeyError:
            if len(self._known) >= MOST_HEADS:
                self._known.clear()
                self._invocations.clear()
            found = self._known[head] = self._resolve(read(head))
            return found

    def _resolve(self, head: Head | None) -> Found | None:
        if head is None or not 0 < head.length <= self._limit:
            return None
        try:
            if head.asked not in self._invocations:
                self._invocations[head.asked] = Invocation(self._service, head.asked)
            return Found(head.length, self._invocations[head.asked], head.keeps_alive)
        except ServingError:
            return None  # the general way says what is wrong with it
