"""What a request keeps while it waits for its run."""

import asyncio
import gc
import weakref
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

from harness.bodies import as_json
from harness.loops import on_a_loop
from models import Recorder, identity
from serving.catalogue import Catalogue, Entry, Serving
from serving.codecs import formats
from serving.dispatcher import Dispatcher
from serving.invocations import OFFLOAD_BYTES, Asked, Invocation
from serving.metrics import Metrics
from serving.offload import Offload
from serving.selection import Selection
from serving.signature import Inputs, Outputs
from signatures import one_input

PATIENCE = 30.0


class Body(bytearray):
    """One that can be watched."""


def test_a_body_is_let_go_when_its_arrays_are_made() -> None:
    """With pictures as JSON, bodies and what was read of them were most of what a busy server held."""

    async def test() -> None:
        may_end, gone = Event(), asyncio.Event()

        def answer(inputs: Inputs) -> Outputs:
            assert may_end.wait(PATIENCE)
            return identity(inputs)

        signature = one_input()
        dispatcher = Dispatcher(
            Recorder(answer, signature), lanes=1, max_rows=1, max_waiting=1, timeout=PATIENCE, metrics=Metrics()
        )
        entry = Entry("model", 1, "", {"": Serving(signature, dispatcher)})
        service = SimpleNamespace(
            catalogue=lambda: Catalogue([entry]),
            formats=formats(10 * OFFLOAD_BYTES),
            default_accept="application/json",
            offload=Offload(),
        )
        invocation = Invocation(cast("Any", service), Asked(Selection(), "application/json", ""))
        rows = [[0.5, 1.5, 2.5]] * (OFFLOAD_BYTES // 10)
        body = Body(as_json(rows))
        weakref.finalize(body, asyncio.get_running_loop().call_soon_threadsafe, gone.set)
        running = asyncio.create_task(invocation.run(cast("bytes", body)))
        await asyncio.sleep(0)
        del body
        await gone.wait()
        assert not running.done()
        may_end.set()
        assert (await running).body.startswith(b'{"predictions":[[0.5,1.5,2.5],')
        dispatcher.close()
        service.offload.close()

    gc.disable()
    try:
        on_a_loop(test)
    finally:
        gc.enable()
