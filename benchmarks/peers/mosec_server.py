"""mosec, as its documentation shows it; BATCH is its max_batch_size, and a batch waits 10 ms at most."""

import os
from typing import Any

import runtime
from mosec import Server, Worker

BATCH = int(os.environ["BATCH"])
WAIT_MS = 10


class Inference(Worker):  # type: ignore[misc]  # mosec is not installed where types are checked
    """The model and its codecs."""

    def __init__(self) -> None:
        super().__init__()
        self._model = runtime.Model()
        if runtime.IS_NPY:
            self.resp_mime_type = runtime.MEDIA_TYPE

    def deserialize(self, data: bytes) -> runtime.Inputs:
        """Read a request."""
        return self._model.of_npy(data) if runtime.IS_NPY else self._model.of_document(super().deserialize(data))

    def serialize(self, data: runtime.Tensor) -> Any:  # noqa: ANN401 (bytes, by mosec's own JSON)
        """Write an answer."""
        return runtime.as_npy(data) if runtime.IS_NPY else super().serialize({"predictions": data.tolist()})

    def forward(self, data: Any) -> Any:  # noqa: ANN401 (a request, or a list of some)
        """Run the model."""
        return self._model.run(data) if BATCH == 1 else self._model.run_together(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Inference, num=1, max_batch_size=BATCH, max_wait_time=WAIT_MS if BATCH > 1 else 0)
    server.run()
