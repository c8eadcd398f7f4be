"""BentoML, as its documentation shows it, with its adaptive batching of at most BATCH rows.

Its pace is found by BentoML itself; requests that it expects to be late are turned away, hence the long limit.
"""

import os
import sys
from pathlib import Path
from typing import Any

import bentoml
import runtime

LATEST_MS = 60_000


@bentoml.service(workers=1, traffic={"timeout": LATEST_MS // 1000})  # type: ignore[misc,untyped-decorator,unused-ignore]
class Inference:
    """The model and its codecs."""

    def __init__(self) -> None:
        self._model = runtime.Model()

    @bentoml.api(  # type: ignore[misc,untyped-decorator,unused-ignore]  # BentoML is not installed where types are checked
        route="/inference", batchable=True, max_batch_size=int(os.environ["BATCH"]), max_latency_ms=LATEST_MS
    )
    def inference(self, instances: list[Any]) -> list[Any]:
        """Rows of one request or of several, and an answer for each."""
        outputs = self._model.run_together([self._model.of_document({"instances": [row]}) for row in instances])
        return [output[0].tolist() for output in outputs]


if __name__ == "__main__":
    here = str(Path(__file__).resolve().parent)
    options = ("--host", "127.0.0.1", "--port", sys.argv[1], "--working-dir", here)
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", "serve", "bentoml_server:Inference", *options])  # noqa: S606
