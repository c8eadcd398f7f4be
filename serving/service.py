"""What the routes share: the state, the metrics and, once they are loaded, the models with their dispatchers."""

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from serving.catalogue import FIRST_VERSION, Catalogue, Entry, Serving
from serving.codecs import Format, Speaking, formats
from serving.discovery import FoundModel
from serving.dispatcher import Dispatcher
from serving.lifecycle import Lifecycle
from serving.loader import Loaded, Warmed
from serving.memory import available
from serving.metrics import Metrics
from serving.offload import Offload
from serving.ping import not_ready
from serving.room import Extent, Room, room_for
from serving.settings import MEGABYTE, Settings
from serving.signature import Signature

if TYPE_CHECKING:
    from serving.division import Division
    from serving.scripts.runner import Runner

log = logging.getLogger(__name__)

T = TypeVar("T")

# Of answers where nothing says which, as in AWS's containers.
DEFAULT_ACCEPT = "application/json"


class Service:
    """One server's shared state; belongs to the event loop."""

    def __init__(self, settings: Settings, lifecycle: Lifecycle) -> None:
        self.settings = settings
        self.lifecycle = lifecycle
        self.metrics = Metrics()
        self.offload = Offload()
        self.formats: tuple[Format, ...] = formats(settings.max_payload_bytes)
        self.default_accept = DEFAULT_ACCEPT
        self.empty_is_nothing = False
        self.script: Runner | None = None
        """What answers invocations where the archive has a script."""
        self._catalogue: Catalogue | None = None
        self.room = Room(Extent(), settings.max_queue)
        """What large bodies may take together."""
        lifecycle.listen(self.metrics.enter)
        self.metrics.queue(lambda: self.room.waiting)
        self.metrics.body_bytes = lambda: self.room.taken

    @property
    def signature(self) -> Signature | None:
        """The default model's signature once it is loaded."""
        return self._catalogue.default.signature(None).signature if self._catalogue else None

    def catalogue(self) -> Catalogue:
        """The models in service. Raises NotReadyError until they are loaded.

        A server that is stopping still answers what reaches it: the caller sent it in good faith.
        """
        if self._catalogue is None:
            raise not_ready(self.lifecycle)
        return self._catalogue

    async def alone(self, work: Callable[[], T]) -> T:
        """Have this done, and give what it returns, while the default model makes no run."""
        return await self.catalogue().default.signature(None).dispatcher.alone(work)

    def join(self, max_rows: int) -> None:
        """Have requests for the default model ride together, in batches of at most so many rows."""
        self.catalogue().default.signature(None).dispatcher.join(max_rows)

    def divide(self, division: "Division") -> None:
        """Run the default model in the formation that was found best."""
        self.catalogue().default.signature(None).dispatcher.divide(*division[:3])
        self.metrics.lanes = division.formation.lanes

    def make_room(self, cores: int) -> None:
        """Settle how much large bodies may take, now that what is to be loaded is."""
        self.room.extent = room_for(self.settings.max_bodies_bytes, available(), cores)
        log.info(
            "large bodies are read while they take no more than %d MB together", self.room.extent.whole // MEGABYTE
        )

    def put_in_service(self, loaded: Loaded) -> None:
        """Take requests for these models from now on."""
        self.make_room(loaded.prepared.machine.budget.cores)
        first = Warmed(loaded.prepared.found, loaded.model, loaded.warm_up)
        together = groupby((first, *loaded.others), key=lambda warmed: warmed.found)
        plan, trial = loaded.prepared.plan, loaded.prepared.trial
        self.metrics.bf16, self.metrics.bf16_deviation = plan.bf16, trial.deviation if trial else None
        self.metrics.lanes = plan.lanes
        if isinstance(loaded.model, Speaking):
            self.formats = loaded.model.formats(self.settings.max_payload_bytes)
            self.default_accept = loaded.model.default_accept
            self.empty_is_nothing = loaded.model.empty_is_nothing
        self._prefer(self.settings.default_accept)
        self._catalogue = Catalogue([self._entry(found, list(warmed), plan.lanes) for found, warmed in together])

    def _prefer(self, media_type: str) -> None:
        """Answer in this format where a request does not say; in the usual one where there is no such."""
        written = [entry.media_type for entry in self.formats if entry.encode]
        if media_type in written:
            self.default_accept = media_type
        elif media_type:
            log.warning(
                "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT is %s, which is not written here: answers are %s where a request "
                "does not say. Expected one of %s",
                *(media_type, self.default_accept, ", ".join(written)),
            )

    def close(self) -> None:
        """Let the threads end."""
        self.offload.close()
        if self._catalogue:
            self._catalogue.close()

    def _entry(self, found: FoundModel, signatures: list[Warmed], lanes: int) -> Entry:
        """One version of a model; the first of its signatures is the default."""
        named: dict[str, Signature] = {}
        for warmed in signatures:
            signature = warmed.model.signature
            named[signature.name] = replace(signature, others=named)
        served = {
            warmed.model.signature.name: Serving(named[warmed.model.signature.name], self._dispatcher(warmed, lanes))
            for warmed in signatures
        }
        return Entry(found.name, found.version or FIRST_VERSION, next(iter(served)), served)

    def _dispatcher(self, warmed: Warmed, lanes: int) -> Dispatcher:
        return Dispatcher(
            warmed.model,
            lanes=lanes,
            max_rows=warmed.warm_up.max_rows,
            max_waiting=self.settings.max_queue,
            timeout=self.settings.timeout,
            metrics=self.metrics,
        )
