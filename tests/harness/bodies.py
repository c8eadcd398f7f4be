"""Request bodies made, and answers read, without the program's own code."""

import io
import json
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

Tensor = npt.NDArray[Any]

JSON = "application/json"
JSONLINES = "application/jsonlines"
CSV = "text/csv"
NPY = "application/x-npy"
NPZ = "application/x-npz"


def as_json(document: object) -> bytes:
    return json.dumps(document).encode()


def as_npy(array: Tensor, version: tuple[int, int] | None = None) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=version)
    return stream.getvalue()


def as_npz(**arrays: Tensor) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def npy(answer: httpx.Response) -> Tensor:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == NPY
    array: Tensor = np.load(io.BytesIO(answer.content), allow_pickle=False)
    return array


def npz(answer: httpx.Response) -> dict[str, Tensor]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == NPZ
    return dict(np.load(io.BytesIO(answer.content), allow_pickle=False))


def document(answer: httpx.Response) -> Any:  # noqa: ANN401 (any JSON value may come)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == JSON
    return json.loads(answer.content)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, after checking what every error must be."""
    assert answer.headers["content-type"] == JSON
    body = answer.json()
    assert set(body) == {"code", "error"}
    assert 0 < len(body["error"]) <= 500
    for internal in ("Traceback", ".py", "/opt/", "site-packages", "onnxruntime_src"):
        assert internal not in body["error"]
    return answer.status_code, body["code"]
