"""A container of little memory, and more in large bodies than it has."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from assets import onnx_models
from harness.bodies import NPY, as_npy, npy
from harness.crowd import at_once
from harness.servers import Server
from harness.targets import Image, Target
from harness.wire import Wire, request

pytestmark = [pytest.mark.container, pytest.mark.any_graviton]

MEMORY: Final = "700m"
SHAPE: Final = (6, 2**20)
"""Of float32, 24 MB: almost the most that SageMaker sends."""
CLIENTS: Final = 40
"""960 MB at once."""


@pytest.fixture
def small(target: Target, model_folder: Callable[..., Path]) -> Iterator[Server]:
    """Answers with what it is sent, and has little memory."""
    assert isinstance(target, Image)
    server = target.with_memory(MEMORY).start(model_folder(onnx_models.identity, columns="L"), {})
    server.until_ready()
    yield server
    server.remove()


def test_more_large_bodies_at_once_than_there_is_memory_are_all_answered(small: Server) -> None:
    found = at_once(lambda number: _asked(small, number), range(CLIENTS), CLIENTS)
    assert found == [(number, SHAPE) for number in range(CLIENTS)]
    assert small.ended(0.1) is None


def test_who_leave_in_the_middle_of_large_bodies_leave_nothing_behind(small: Server) -> None:
    body = as_npy(np.ones(SHAPE, np.float32))
    most = request(body, kind=NPY)[: -len(body) // 8]
    for _ in range(CLIENTS):
        with Wire(small) as wire:
            wire.send(most)
    assert _asked(small, 5) == (5, SHAPE)
    assert small.ended(0.1) is None


def _asked(server: Server, number: int) -> tuple[float, tuple[int, ...]]:
    """The one number that all of the answer is, and its shape."""
    answer = npy(server.post(as_npy(np.full(SHAPE, number, np.float32)), NPY, NPY))
    assert answer.min() == answer.max()
    return float(answer.flat[0]), answer.shape
