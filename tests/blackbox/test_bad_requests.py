"""Every kind of bad request: its status, its code, and the next request unharmed."""

import struct

import numpy as np
import pytest

from harness.bodies import CSV, JSON, JSONLINES, NPY, NPZ, as_json, as_npy, as_npz, document, refusal
from harness.servers import Server

pytestmark = pytest.mark.any_graviton

MEGABYTE = 2**20


def unharmed(server: Server) -> None:
    assert document(server.post(b"[[1.0, 2.0]]")) == {"predictions": [[1.0, 2.0]]}


def claiming(shape: str, data: bytes = b"", dtype: str = "<f4") -> bytes:
    """A .npy file whose header claims a shape."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize(
    ("body", "content_type", "wanted"),
    [
        (b"", JSON, (400, "empty_body")),
        (b"", NPY, (400, "empty_body")),
        (b"[[1.0, 2.0]", JSON, (400, "invalid_json")),
        (b'{"instances": [[1]], "inputs": [[1]]}', JSON, (400, "invalid_json")),
        (b'{"instances": 7}', JSON, (400, "invalid_json")),
        (b"[" * 100_000, JSON, (400, "invalid_json")),
        (b'"\xff"', JSON, (400, "invalid_json")),
        (b"[]", JSON, (400, "empty_batch")),
        (b'{"inputs": [[[1.0]]]}', JSON, (400, "wrong_rank")),
        (b'{"inputs": 1.0}', JSON, (400, "wrong_rank")),
        (b"[[1.0, 2.0], [3.0]]", JSON, (400, "ragged_array")),
        (b'[["a", "b"]]', JSON, (400, "wrong_type")),
        (b'[["a", 1.0]]', JSON, (400, "wrong_type")),
        (b"[[null]]", JSON, (400, "wrong_type")),
        (b"[[true]]", JSON, (400, "wrong_type")),
        (b"[[true, 1.0]]", JSON, (400, "wrong_type")),
        (b"[[1e39]]", JSON, (400, "inexact_value")),
        (b'{"y": [1.0]}', JSON, (400, "missing_input")),
        (b'{"instances": [{"x": [1.0], "z": [1.0]}]}', JSON, (400, "unknown_input")),
        (b"[1.0]\n[2.0\n", JSONLINES, (400, "invalid_json")),
        (b"1.0,2.0\n3.0\n", CSV, (400, "ragged_array")),
        (b"1.0,two\n", CSV, (400, "wrong_type")),
        (b"1.0,\n", CSV, (400, "wrong_type")),
        (b'"1.0\n', CSV, (400, "invalid_csv")),
        (b"\xff\xfe", CSV, (400, "invalid_csv")),
        (b"\n\n", CSV, (400, "empty_batch")),
        (b"no numpy file", NPY, (400, "invalid_npy")),
        (as_npy(np.ones((2, 3), np.float32))[:-1], NPY, (400, "truncated_npy")),
        (as_npy(np.ones((2, 3), np.float32)) + b"x", NPY, (400, "truncated_npy")),
        (claiming("(1000000, 1000000)", b"x" * 72), NPY, (413, "array_too_large")),
        (claiming("(100, 100)", b"x" * 72), NPY, (400, "truncated_npy")),
        (claiming("(-1, 4)", b"x" * 16), NPY, (400, "invalid_npy")),
        (claiming("(1,)", b"cos\nsystem\n(S'id'\ntR.", "|O"), NPY, (400, "object_npy")),
        (claiming("(0, 4)"), NPY, (400, "empty_batch")),
        (as_npy(np.array([["a"]])), NPY, (400, "wrong_type")),
        (as_npy(np.array([[1e39]])), NPY, (400, "inexact_value")),
        (as_npy(np.ones((1, 1), np.complex64)), NPY, (400, "wrong_type")),
        (b"PK no zip", NPZ, (400, "invalid_npz")),
        (as_npz(y=np.ones((1, 1))), NPZ, (400, "missing_input")),
        (as_npz(x=np.ones((1, 1)), z=np.ones(1)), NPZ, (400, "unknown_input")),
        (as_npz(x=np.zeros((8 * MEGABYTE, 1))), NPZ, (413, "array_too_large")),
        (b"<x/>", "application/xml", (415, "unsupported_media_type")),
        (b"x=1", "application/x-www-form-urlencoded", (415, "unsupported_media_type")),
        ("[[1.0]]".encode("utf-16"), "application/json; charset=utf-16", (415, "unsupported_media_type")),
    ],
)
def test_each_fault_has_its_status_and_code(
    echo: Server, body: bytes, content_type: str, wanted: tuple[int, str]
) -> None:
    assert refusal(echo.post(body, content_type)) == wanted
    unharmed(echo)


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"a": [1, 2, 3]}, "missing_input"),
        ({"a": [1, 2, 3], "b": [1, 2], "c": 1}, "unknown_input"),
        ({"a": [1, 2], "b": [1, 2]}, "wrong_dimension"),
        ({"a": [1, 2, 3], "b": [1, 2.5]}, "inexact_value"),
        ({"a": [1, 2, 3], "b": [1, 1e300]}, "inexact_value"),
        ({"a": [1, 2, 3], "b": [1, "2"]}, "wrong_type"),
    ],
)
def test_faults_of_several_inputs(two: Server, row: object, wanted: str) -> None:
    assert refusal(two.post(as_json({"instances": [row]}))) == (400, wanted)


def test_inputs_with_different_numbers_of_rows_are_refused(two: Server) -> None:
    columns = {"a": [[1, 2, 3]], "b": [[1, 2], [3, 4]]}
    assert refusal(two.post(as_json({"inputs": columns}))) == (400, "wrong_dimension")


def test_a_wrong_fixed_dimension_names_tensor_expected_and_got(fixed: Server) -> None:
    for rows, columns in ((1, 5), (2, 4)):
        answer = fixed.post(as_npy(np.ones((rows, columns), np.float32)), NPY)
        assert refusal(answer) == (400, "wrong_dimension")
        for part in ("'x'", "[1, 4]", f"[{rows}, {columns}]"):
            assert part in answer.json()["error"]


def test_a_compressed_body_is_415(echo: Server) -> None:
    answer = echo.client.post("/invocations", content=b"x", headers={"content-encoding": "gzip"})
    assert refusal(answer) == (415, "unsupported_media_type")


@pytest.mark.parametrize("chunked", [False, True])
def test_26_megabytes_are_too_many_for_a_limit_of_25(echo: Server, chunked: bool) -> None:
    piece = b" " * MEGABYTE
    content = (piece for _ in range(26)) if chunked else piece * 26
    answer = echo.client.post("/invocations", content=content, headers={"content-type": JSON})
    assert refusal(answer) == (413, "payload_too_large")
    unharmed(echo)


def test_25_megabytes_are_taken(echo: Server) -> None:
    given = np.zeros((1, (25 * MEGABYTE - 128) // 4), np.float32)
    body = as_npy(given)
    assert len(body) == 25 * MEGABYTE
    assert len(echo.post(body, NPY, NPY).content) == len(body)


def test_a_runtimes_refusal_is_the_callers_fault(table: Server) -> None:
    assert refusal(table.post(as_json([7]))) == (400, "model_rejected_input")
    assert document(table.post(as_json([4]))) == {"predictions": [[4.0, 4.5]]}
