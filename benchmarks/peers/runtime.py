"""What every peer does with a request: the same codecs, the same ONNX Runtime, the same threads."""

import io
import os
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

Tensor = npt.NDArray[Any]
IS_NPY = os.environ["MEDIA_TYPE"] == "application/x-npy"
MEDIA_TYPE = os.environ["MEDIA_TYPE"]


class Model:
    """A session with the threads that the environment names."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ["THREADS"])
        self._session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def run(self, rows: Tensor) -> Tensor:
        """The first output for a batch."""
        output: Tensor = self._session.run(None, {self._input: rows})[0]
        return output

    def run_together(self, requests: list[Tensor]) -> list[Tensor]:
        """The first output for several requests at once, apart again."""
        ends = np.cumsum([len(rows) for rows in requests])[:-1]
        return np.split(self.run(np.concatenate(requests)), ends)


def of_document(document: Any) -> Tensor:  # noqa: ANN401 (what a JSON parser gives)
    """The rows of a JSON document."""
    return np.asarray(document["instances"], np.float32)


def of_npy(body: bytes) -> Tensor:
    """The rows of a .npy file."""
    rows: Tensor = np.load(io.BytesIO(body), allow_pickle=False)
    return rows


def as_npy(outputs: Tensor) -> bytes:
    """A .npy file."""
    file = io.BytesIO()
    np.save(file, outputs)
    return file.getvalue()
