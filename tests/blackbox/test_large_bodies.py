"""Large bodies, of which no more are in hand than there is room for: all the others wait, and none for long."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import pytest

from assets import onnx_models
from blackbox.conftest import Folder, Shared
from harness.bodies import NPY, as_npy, npy
from harness.crowd import at_once, metric, until
from harness.servers import Server
from harness.wire import BODY, Wire, request

pytestmark = pytest.mark.any_graviton

RIGHT: Final = b'{"predictions":[[1.5]]}'
NUMBERS: Final = 200_000
"""Of a row of float32: 800 kB, most of the room of 1 MB."""
# A field that the ordinary way leaves to the general parser, and that changes nothing.
WAYS: Final = {"ordinary": {}, "general": {"TE": "trailers"}}
DEADLINE_SECONDS: Final = 16
"""Enough for an emulated server, and few to wait for."""


@pytest.fixture
def tight(shared: Shared, model_folder: Folder) -> Server:
    """`x` float32 [N, L] -> `y`, the same, with room for one large body at a time, which must come soon."""
    server = shared(
        model_folder(onnx_models.identity, columns="L"),
        SERVING_MAX_BODIES_MB="1",
        SAGEMAKER_MODEL_SERVER_TIMEOUT=str(DEADLINE_SECONDS),
    )
    # The first page brings the library that writes it, which under emulation takes seconds.
    assert metric(server, "serving_waiting_requests") == 0
    return server


def body(number: float) -> bytes:
    return as_npy(np.full((1, NUMBERS), number, np.float32))


def wire_request(way: str) -> bytes:
    fields = [f"{name}: {value}" for name, value in WAYS[way].items()]
    return request(body(-1.0), *fields, "Accept: application/x-npy", kind=NPY)


def chunks(data: bytes) -> Iterator[bytes]:
    """What httpx sends without a length."""
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]


@pytest.mark.parametrize("way", [*WAYS, "chunked"])
def test_each_of_many_has_its_own_answer(tight: Server, way: str) -> None:
    def ask(number: int) -> float:
        headers = {"content-type": NPY, "accept": NPY} | WAYS.get(way, {})
        data = body(number)
        answer = tight.client.post("/invocations", content=chunks(data) if way == "chunked" else data, headers=headers)
        found = npy(answer)
        assert found.shape == (1, NUMBERS)
        assert found.min() == found.max()
        return float(found[0, 0])

    assert at_once(ask, range(24)) == list(range(24))
    assert metric(tight, "serving_waiting_requests") == 0
    # The system may say a little after the client that all of an answer is sent.
    until(tight, lambda: metric(tight, "serving_body_bytes") == 0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ends", ["comes", "leaves"])
def test_the_next_is_read_when_the_one_before_is_done(tight: Server, way: str, ends: str) -> None:
    whole = wire_request(way)
    with ThreadPoolExecutor(2) as pool, Wire(tight) as wire:
        wire.send(whole[: len(whole) // 2])
        # On its way to a container it may be overtaken.
        until(tight, lambda: metric(tight, "serving_body_bytes") > 0)
        waiting = [pool.submit(tight.post, body(3.0), NPY, NPY, **fields) for fields in WAYS.values()]
        until(tight, lambda: metric(tight, "serving_waiting_requests") == len(waiting))
        # What is small waits for nobody.
        assert tight.post(BODY).content == RIGHT
        if ends == "comes":
            wire.send(whole[len(whole) // 2 :])
            answer = wire.answer()
            assert (answer.status, answer.body) == (200, body(-1.0))
        else:
            wire.close()
        for answered in waiting:
            assert npy(answered.result())[0, 0] == 3.0


@pytest.mark.parametrize("way", WAYS)
def test_one_that_does_not_come_is_given_up_and_holds_nobody_up_for_longer(tight: Server, way: str) -> None:
    whole = wire_request(way)
    half = len(whole) // 2
    with ThreadPoolExecutor(1) as pool, Wire(tight) as wire:
        wire.send(whole[:half])
        until(tight, lambda: metric(tight, "serving_body_bytes") > 0)
        waiting = pool.submit(tight.post, body(3.0), NPY, NPY)
        answer = wire.answer()
        assert (answer.status, answer.body[:22]) == (408, b'{"code":"body_timeout"')
        assert npy(waiting.result())[0, 0] == 3.0
        # The rest of it is dropped, and the connection goes on.
        wire.send(whole[half:] + request())
        answer = wire.answer()
        assert (answer.status, answer.body) == (200, RIGHT)
