"""Answers are never lost or mixed up, whoever rides together, leaves early or is at fault."""

import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from assets import onnx_models
from blackbox.conftest import Folder, Shared
from harness.bodies import CSV, NPY, as_json, as_npy, document, npy, refusal
from harness.crowd import at_once, metric, until
from harness.servers import Server
from harness.targets import Target

pytestmark = pytest.mark.any_graviton

REQUESTS = 200
# `slow` takes some 50 us a loop natively, a hundred times as long under emulation.
LOOPS, EMULATED_LOOPS = 200, 4


@pytest.fixture
def slow(target: Target, shared: Shared, model_folder: Callable[..., Path]) -> Server:
    """`x` float32 [N, 3] -> `y`, the same, slowly enough for requests to wait for one another."""
    return shared(model_folder(onnx_models.slow, loops=EMULATED_LOOPS if target.emulated else LOOPS))


def test_every_answer_is_its_own_requests(slow: Server) -> None:
    random = np.random.default_rng(7)
    requests = [
        np.full((int(random.integers(1, 5)), 3), number, np.float32) + np.arange(3, dtype=np.float32) / 8
        for number in range(REQUESTS)
    ]
    runs, rows = metric(slow, "serving_batch_rows_count"), metric(slow, "serving_batch_rows_sum")
    answers = at_once(lambda given: npy(slow.post(as_npy(given), NPY, NPY)), requests)
    for given, got in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(got, given)
    assert metric(slow, "serving_batch_rows_sum") - rows == sum(map(len, requests))
    assert metric(slow, "serving_batch_rows_count") - runs < REQUESTS, "no two requests ever rode together"


def test_requests_of_mixed_shapes_keep_apart(echo: Server) -> None:
    random = np.random.default_rng(8)
    requests = [random.random((2, int(random.integers(1, 6)))).astype(np.float32) for _ in range(REQUESTS)]
    answers = at_once(lambda given: npy(echo.post(as_npy(given), NPY, NPY)), requests)
    for given, got in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(got, given)


def test_rows_of_all_kinds_that_come_at_once_are_each_answered_in_their_own_way(slow: Server) -> None:
    """Those that are alike are read at once, and written at once; nothing of it is to be seen."""
    bad = {3: as_json([[1.5, 2.5]]), 5: b'{"instances":[[1.5,2.5,"x"]]}', 8: b'{"instances":[[1.5,2.5,3.5]]'}
    codes = {3: "wrong_dimension", 5: "wrong_type", 8: "invalid_json"}

    def ask(number: int) -> str | tuple[int, str]:
        row = [number + 0.5, number, 0.25]
        if number % 11 in bad:
            return refusal(slow.post(bad[number % 11]))
        if number % 4 == 1:
            return slow.post(",".join(map(str, row)).encode(), CSV, CSV).text
        if number % 4 == 3:
            return slow.post(as_json({"inputs": [row]})).text
        return slow.post(as_json({"instances": [row]})).text

    answers = at_once(ask, range(REQUESTS), clients=32)
    for number, answer in enumerate(answers):
        row = f"{number}.5,{number}.0,0.25"
        if number % 11 in bad:
            assert answer == (400, codes[number % 11])
        elif number % 4 == 1:
            assert answer == f"{row}\n"
        else:
            key = "outputs" if number % 4 == 3 else "predictions"
            assert answer == f'{{"{key}":[[{row}]]}}'


def test_a_poisoned_request_fails_alone(table: Server) -> None:
    indices = [number % 5 if number % 7 else 99 for number in range(REQUESTS)]
    answers = at_once(lambda index: table.post(as_json([index])), indices)
    for index, answer in zip(indices, answers, strict=True):
        if index == 99:
            assert refusal(answer) == (400, "model_rejected_input")
        else:
            assert document(answer) == {"predictions": [[float(index), index + 0.5]]}


def test_a_model_that_mixes_its_rows_is_never_given_joint_requests(shared: Shared, model_folder: Folder) -> None:
    server = shared(model_folder(onnx_models.batch_dependent))
    answers = at_once(lambda n: document(server.post(as_json([[n, 1, 2, 3], [0, 1, 2, 3]]))), range(50))
    assert answers == [{"predictions": [[n / 2, 0, 0, 0], [-n / 2, 0, 0, 0]]} for n in range(50)]


def test_clients_that_leave_disturb_nobody(slow: Server) -> None:
    body = as_npy(np.zeros((1, 3), np.float32))
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: {NPY}\r\nContent-Length: {len(body)}\r\n\r\n"
    gone = 'serving_requests_total{status="499"}'
    before = metric(slow, gone)
    for _ in range(30):
        with socket.create_connection(("127.0.0.1", slow.port)) as connection:
            connection.sendall(head.encode() + body)
    with socket.create_connection(("127.0.0.1", slow.port)) as connection:
        connection.sendall(head.encode() + body[:10])  # left in the middle of its body
    given = np.array([[1, 2, 3]], np.float32)
    answers = at_once(lambda _: npy(slow.post(as_npy(given), NPY, NPY)), range(20))
    assert all((got == given).all() for got in answers)
    until(slow, lambda: metric(slow, gone) > before)
    until(slow, lambda: metric(slow, "serving_waiting_requests") == 0)
