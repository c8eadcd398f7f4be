"""What every peer does with a request: the same codecs, the same ONNX Runtime, the same threads."""

import io
import os
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

Tensor = npt.NDArray[Any]
Inputs = dict[str, Tensor]
_DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
IS_NPY = os.environ["MEDIA_TYPE"] == "application/x-npy"
MEDIA_TYPE = os.environ["MEDIA_TYPE"]


class Model:
    """A session with the threads that the environment names."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ["THREADS"])
        self._session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self._dtypes = {node.name: _DTYPES[node.type] for node in self._session.get_inputs()}

    def run(self, inputs: Inputs) -> Tensor:
        """The first output for a batch."""
        output: Tensor = self._session.run(None, inputs)[0]
        return output

    def run_together(self, requests: list[Inputs]) -> list[Tensor]:
        """The first output for several requests at once, apart again; those of one shape share a run."""
        alike: dict[Any, list[int]] = {}
        for place, request in enumerate(requests):
            alike.setdefault(tuple(value.shape[1:] for value in request.values()), []).append(place)
        outputs: list[Tensor] = [np.empty(0)] * len(requests)
        for places in alike.values():
            joined = {name: np.concatenate([requests[place][name] for place in places]) for name in self._dtypes}
            ends = np.cumsum([len(next(iter(requests[place].values()))) for place in places])[:-1]
            for place, output in zip(places, np.split(self.run(joined), ends), strict=True):
                outputs[place] = output
        return outputs

    def of_document(self, document: Any) -> Inputs:  # noqa: ANN401 (what a JSON parser gives)
        """The rows of a JSON document: objects by input name where there are several inputs."""
        rows = document["instances"]
        if len(self._dtypes) > 1:
            return {name: np.asarray([row[name] for row in rows], dtype) for name, dtype in self._dtypes.items()}
        return {name: np.asarray(rows, dtype) for name, dtype in self._dtypes.items()}

    def of_npy(self, body: bytes) -> Inputs:
        """The rows of a .npy file, for the one input."""
        (name,) = self._dtypes
        return {name: np.load(io.BytesIO(body), allow_pickle=False)}


def as_npy(outputs: Tensor) -> bytes:
    """A .npy file."""
    file = io.BytesIO()
    np.save(file, outputs)
    return file.getvalue()
