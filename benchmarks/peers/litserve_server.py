"""LitServe, as its documentation shows it; BATCH is its max_batch_size, and a batch waits 10 ms at most."""

import os
import sys
from typing import Any

import litserve
import runtime

BATCH = int(os.environ["BATCH"])
WAIT_SECONDS = 0.01


class Inference(litserve.LitAPI):  # type: ignore[misc]  # LitServe is not installed where types are checked
    """The model and its codecs."""

    def setup(self, device: str) -> None:
        """Load the model."""
        del device
        self._model = runtime.Model()

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 (LitServe reads them)
        """Read a request."""
        return self._model.of_document(request)

    def predict(self, x: runtime.Inputs) -> runtime.Tensor:
        """Run the model."""
        return self._model.run(x)

    def encode_response(self, output: runtime.Tensor) -> dict[str, Any]:
        """Write an answer."""
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    api = Inference(max_batch_size=1, api_path="/inference")
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1).run(
        port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )
