"""What the routes share: the state, the metrics and, once it is there, the model with its dispatcher."""

from dataclasses import dataclass

from serving.codecs import Format, formats
from serving.dispatcher import Dispatcher
from serving.errors import NotReadyError
from serving.lifecycle import Lifecycle
from serving.loader import Loaded
from serving.metrics import Metrics
from serving.settings import Settings
from serving.signature import Signature


@dataclass(frozen=True, slots=True)
class Serving:
    """A model in service."""

    signature: Signature
    dispatcher: Dispatcher


class Service:
    """One server's shared state; belongs to the event loop."""

    def __init__(self, settings: Settings, lifecycle: Lifecycle) -> None:
        self.settings = settings
        self.lifecycle = lifecycle
        self.metrics = Metrics()
        self.formats: tuple[Format, ...] = formats(settings.max_payload_bytes)
        self._serving: Serving | None = None
        lifecycle.listen(self.metrics.state)

    @property
    def signature(self) -> Signature | None:
        """The model's signature once it is loaded."""
        return self._serving.signature if self._serving else None

    def serving(self) -> Serving:
        """The model in service. Raises NotReadyError until it is loaded.

        A server that is stopping still answers what reaches it: the caller sent it in good faith.
        """
        if self._serving is None:
            raise NotReadyError(f"expected a loaded model; the server is {self.lifecycle.state.value}")
        return self._serving

    def put_in_service(self, loaded: Loaded) -> None:
        """Take requests for this model from now on."""
        dispatcher = Dispatcher(
            loaded.model,
            lanes=loaded.prepared.plan.lanes,
            max_rows=loaded.warm_up.max_rows,
            max_waiting=self.settings.max_queue,
            timeout=self.settings.timeout,
            metrics=self.metrics,
        )
        self._serving = Serving(loaded.model.signature, dispatcher)

    def close(self) -> None:
        """Let the lanes' threads end."""
        if self._serving:
            self._serving.dispatcher.close()
