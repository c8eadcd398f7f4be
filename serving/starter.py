"""What happens in the loader's thread: prepared -> imported -> loaded -> in service -> tuned.

The way to readiness is kept short: most of a framework's loading is its own work without Python's lock, and beside it
is imported what serves. uvicorn, Starlette and FastAPI, which SageMaker's requests do without, are imported when one
first needs them (`serving.gate`, `serving.door`). What can be found out while the model serves comes last
(`serving.tuning`).
"""

import gc
import logging
import os
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from threading import Event, Thread
from typing import TYPE_CHECKING, NamedTuple

from serving.errors import ModelLoadError
from serving.lifecycle import Lifecycle, State
from serving.mailbox import Mailbox
from serving.ping import Application
from serving.preparation import Prepared, apply_environment, look_around, prepare
from serving.scripts.source import locate
from serving.settings import Settings
from serving.trial import settle

if TYPE_CHECKING:
    import asyncio

    from serving.budget import Budget
    from serving.door import Door
    from serving.gate import Gate
    from serving.loader import Loaded
    from serving.scripts.found import Script
    from serving.service import Service

log = logging.getLogger(__name__)

# How long the framework's import may keep back those of what serves: TensorFlow's takes some seconds, and callers of
# /metrics wait meanwhile.
FRAMEWORK_SECONDS = 1.0


class Front(NamedTuple):
    """What stands before the model: made while that is loaded.

    `door` is given what it needs for its requests, as soon as there is some; `gate` is opened to the fast way once
    there is a model; `give_up` is called with the reason where there can be no service.
    """

    door: "Door"
    gate: "Gate"
    give_up: Callable[[str], None]


class Starter:
    """Loads the model and puts it in service.

    All state belongs to the event loop, so everything that changes some is called on it.

    Args:
        settings: the user's.
        lifecycle: told of every step.
    """

    def __init__(self, settings: Settings, lifecycle: Lifecycle) -> None:
        self.service: Service | None = None
        self.lifecycle = lifecycle
        self._settings = settings
        self._mailbox = Mailbox()
        self._call = self._mailbox.call
        self._front: Future[Front] = Future()
        self._framework = Event()
        self._thread = Thread(target=self._work, name="loader", daemon=True)

    @property
    def is_at_work(self) -> bool:
        """Whether the thread is still inside of something, perhaps of a framework's own code."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin, without an event loop."""
        self._thread.start()

    def wait_for_framework(self, seconds: float) -> None:
        """Until it has been imported, or there is none to import, or so long."""
        self._framework.wait(seconds)

    def attach(self, loop: "asyncio.AbstractEventLoop", front: Front) -> None:
        """Go on with this in front, on this loop."""
        self._mailbox.open(loop)
        self._front.set_result(front)

    def release(self) -> None:
        """Wait no longer for what stands in front, which would keep the process: there is none, or it is gone."""
        self._front.cancel()

    def _work(self) -> None:
        try:
            environment = dict(os.environ)
            script = locate(self._settings)
            if script and script.loads_model:
                self._load_script(script, environment)
            else:
                self._load_model(script, environment)
            from serving.tuning import tidy  # noqa: PLC0415 (numpy may be imported only now)

            tidy()
        except CancelledError:
            log.info("loading was given up: the server is stopping")
        except ModelLoadError as error:
            self._give_up(str(error))
        except Exception as error:
            log.exception("loading failed unexpectedly")
            self._give_up(f"The model could not be loaded: {error!r}. The log above says where.")

    def _give_up(self, reason: str) -> None:
        self._framework.set()  # there is none to wait for
        self._call(self._front.result().give_up, reason)

    def _load_model(self, script: "Script | None", environment: Mapping[str, str]) -> None:
        """Raises ModelLoadError."""
        prepared = prepare(self._settings, os.environ)
        log.info("processor: %s", prepared.machine.processor.description)
        apply_environment(prepared.plan)
        with ThreadPoolExecutor(1, "imports") as imports:
            # Beside the loading, most of which is the framework's own work without Python's lock.
            serving = imports.submit(self._serve_after_framework)
            opening: list[Future[None]] = []
            if script:
                self._framework.set()
                service = serving.result()
                opening.append(self._open_script(service, script, prepared.machine.budget, environment))
                opening.append(imports.submit(self._open_door, service))
            try:
                loaded = self._loaded(prepared, environment)
            finally:
                self._framework.set()
            for each in opening:
                each.result()
            service = serving.result()
            # What comes after would take Python's lock from it.
            self._mailbox.ask(self._put_in_service, service, loaded)
        from serving.tuning import Tuning  # noqa: PLC0415 (numpy may be imported only now)

        tuning = Tuning(service, loaded, self._mailbox)
        tuning.join()
        _keep()
        tuning.divide()

    def _loaded(self, prepared: Prepared, environment: Mapping[str, str]) -> "Loaded":
        """Raises ModelLoadError."""
        prepared = settle(prepared, self._settings, environment)
        log.info("plan: %s", prepared.plan.line)
        apply_environment(prepared.plan)
        from serving.loader import load  # noqa: PLC0415 (numpy may be imported only now)

        return load(prepared, self._settings, self._report, self._framework.set, may_wait=True)

    def _serve_after_framework(self) -> "Service":
        """Imports of two threads at once take longer than one after the other, and loading needs the framework's.

        So does answering need those of what stands in front.
        """
        self._front.result()
        self._framework.wait(FRAMEWORK_SECONDS)
        return self._serve()

    def _serve(self) -> "Service":
        """Import and make what ordinary invocations need."""
        import serving.express  # noqa: F401, PLC0415 (numpy may be imported only now)
        from serving.service import Service  # noqa: PLC0415

        self.service = service = Service(self._settings, self.lifecycle)
        door = self._front.result().door
        self._call(door.show, service.metrics, lambda: _endpoint(service), lambda: _application(service))
        return service

    def _open_door(self, service: "Service") -> None:
        """Make the whole application at once: a script's requests for the model need it."""
        self._call(self._front.result().door.open, _application(service))

    def _put_in_service(self, service: "Service", loaded: "Loaded") -> None:
        from serving.express import Express  # noqa: PLC0415 (what it needs is imported by now)

        service.put_in_service(loaded)
        self._front.result().gate.express = Express(service)
        self.lifecycle.enter(State.READY)
        log.info("ready")

    def _load_script(self, script: "Script", environment: Mapping[str, str]) -> None:
        """A script that loads the model by itself: there is none for the server to load. Raises ModelLoadError."""
        self._framework.set()
        machine = look_around()
        log.info("processor: %s", machine.processor.description)
        service = self._serve()
        self._open_door(service)
        self._report(State.LOADING)
        self._open_script(service, script, machine.budget, environment).result()
        self._call(service.make_room, machine.budget.cores)
        self._report(State.READY)
        _keep()
        log.info("ready")

    def _open_script(
        self, service: "Service", script: "Script", budget: "Budget", environment: Mapping[str, str]
    ) -> "Future[None]":
        """Begin to load a script, beside the model where it loads none by itself."""
        from serving.scripts.process import Launch  # noqa: PLC0415 (light, but of no use without a script)
        from serving.scripts.runner import Runner  # noqa: PLC0415 (starlette may be imported only now)

        async def opened() -> None:
            service.script = Runner(service, Launch(script, None, environment, self._settings.model_dir), budget)
            await service.script.open()

        return self._mailbox.run(opened())

    def _report(self, state: State) -> None:
        self._call(self.lifecycle.enter, state)


def _endpoint(service: "Service") -> Application:
    """Import and make what invocations of other than the ordinary kind need."""
    from serving.endpoint import Endpoint  # noqa: PLC0415 (Starlette)

    endpoint = Endpoint(service, to_script=True)
    _keep()
    return endpoint


def _application(service: "Service") -> Application:
    """Import FastAPI and make the whole application."""
    from serving.app import build  # noqa: PLC0415 (FastAPI)

    application = build(service)
    _keep()
    return application


def _keep() -> None:
    """Have the collector work from now on, and pass over what lives by now, for it lives as long as the process.

    To walk it again and again stops everything for some 15 ms each time: NumPy, FastAPI and their modules are 300,000
    objects.
    """
    gc.freeze()
    gc.enable()
