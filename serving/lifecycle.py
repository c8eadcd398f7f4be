r"""The states of the server, and what `/ping` says in each.

    starting -> loading -> warming -> ready -> stopping
                   \           \       <-> broken
                    \___________\-> failed

SageMaker sends requests only while `/ping` answers 200, which is in `ready` alone.
"""

from collections.abc import Callable
from enum import Enum


class State(Enum):
    """Where the server is in its life."""

    STARTING = "starting"  # the port is bound, the program itself is being imported
    LOADING = "loading"  # the model is being found and loaded
    WARMING = "warming"  # the model runs on synthetic inputs
    READY = "ready"
    BROKEN = "broken"  # the archive's script cannot be started any more; that is tried again
    STOPPING = "stopping"  # SIGTERM came: what was taken is finished, nothing new is wanted
    FAILED = "failed"  # the model could not be loaded; the process is about to end


# Once here a server does not come back: a late "ready" from the loader must not undo a SIGTERM.
FINAL = frozenset({State.STOPPING, State.FAILED})
# Before there is a model.
BEFORE = frozenset({State.STARTING, State.LOADING, State.WARMING})


class Lifecycle:
    """The current state, and those who want to know when it changes."""

    def __init__(self) -> None:
        self._state = State.STARTING
        self._listeners: list[Callable[[State], None]] = []

    @property
    def state(self) -> State:
        """The state now."""
        return self._state

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken."""
        return self._state is State.READY

    @property
    def is_getting_ready(self) -> bool:
        """Whether there is going to be a model."""
        return self._state in BEFORE

    @property
    def is_serving(self) -> bool:
        """Whether requests that come are run: when it stops, too, those that are on their way then."""
        return self._state in (State.READY, State.STOPPING)

    @property
    def is_stopping(self) -> bool:
        """Whether SIGTERM came."""
        return self._state is State.STOPPING

    def enter(self, state: State) -> None:
        """Go to a state and tell the listeners; ignored after a final one."""
        if self._state in FINAL:
            return
        self._state = state
        for listener in self._listeners:
            listener(state)

    def listen(self, listener: Callable[[State], None]) -> None:
        """Call `listener` with the current state and with every later one."""
        self._listeners.append(listener)
        listener(self._state)
