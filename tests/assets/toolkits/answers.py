"""What AWS's own code answers, driven in process: run by the interpreter of an environment that has its packages.

stdin: one JSON object, `container` (a name of the list below), `folder` (what `/opt/ml/model` holds; the
script is `code/inference.py`), and `requests`, each with `headers` and `body` in base64. stdout: a list of answers,
with `status`, `type` and `body` in base64.

generic        sagemaker_inference's handler service in Multi Model Server's worker; its answer read as the front does
xgboost        the same with the four functions of the XGBoost container, which is in no package: they are written anew,
               after what is documented of them, around the toolkits' own formats
scikit-learn   sagemaker_containers' Flask application and transformer, with the four functions of the scikit-learn
               container, of which the same is true
recordio       the older toolkit's writer of records: of rows in JSON, by their Content-Type `dense`, `sparse` (without
               zeros), or as one `label`
"""

import base64
import collections
import collections.abc
import importlib
import io
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from struct import unpack_from
from typing import Any, BinaryIO, NamedTuple

import numpy as np

Headers = dict[str, str]
SCRIPT = "inference.py"


class Answer(NamedTuple):
    """One answer."""

    status: int
    type: str
    body: bytes


class Server:
    """One of the containers with one model; `answer` gives what it answers."""

    def answer(self, headers: Headers, body: bytes) -> Answer:
        """The answer to a request."""
        raise NotImplementedError


class MultiModelServer(Server):
    """The newer toolkit in its server's worker."""

    def __init__(self, folder: Path, handler: Any = None) -> None:  # noqa: ANN401 (none of it is typed)
        from mms.service import Service  # noqa: PLC0415
        from sagemaker_inference.default_handler_service import DefaultHandlerService  # noqa: PLC0415
        from sagemaker_inference.transformer import Transformer  # noqa: PLC0415

        entry = DefaultHandlerService(Transformer(handler) if handler else None)
        self._service = Service("model", str(folder), {}, entry.handle, None, 1)
        entry.initialize(self._service.context)

    def answer(self, headers: Headers, body: bytes) -> Answer:
        kind = headers.get("Content-Type", "")
        sent = [{"name": name.encode(), "value": value.encode()} for name, value in headers.items()]
        parameter = {"name": "body", "contentType": kind, "value": body}
        message = self._service.predict([{"requestId": b"1", "parameters": [parameter], "headers": sent}])
        return _read(bytes(message))


class Flask(Server):
    """The older toolkit's application."""

    def __init__(self) -> None:
        from sagemaker_containers.beta.framework import (  # noqa: PLC0415
            content_types,
            encoders,
            transformer,
            worker,
        )

        script = importlib.import_module(Path(SCRIPT).stem)

        def input_fn(body: Any, kind: str) -> Any:  # noqa: ANN401
            array = encoders.decode(body, kind)
            return array.astype(np.float32) if kind in content_types.UTF8_TYPES else array

        def output_fn(prediction: Any, accept: str) -> Any:  # noqa: ANN401
            return worker.Response(encoders.encode(prediction, accept), mimetype=accept)

        own = {name: getattr(script, name) for name in ("model_fn", "transform_fn") if hasattr(script, name)}
        if "transform_fn" not in own:
            own["input_fn"] = getattr(script, "input_fn", input_fn)
            own["predict_fn"] = getattr(script, "predict_fn", lambda data, model: model.predict(data))
            own["output_fn"] = getattr(script, "output_fn", output_fn)
        made = transformer.Transformer(**own)
        made.initialize()
        self._client = worker.Worker(transform_fn=made.transform, module_name="inference").test_client()

    def answer(self, headers: Headers, body: bytes) -> Answer:
        answered = self._client.post("/invocations", data=body, headers=headers)
        return Answer(answered.status_code, answered.headers["Content-Type"], answered.data)


class XgboostHandler:
    """The XGBoost container's functions for a script that leaves them out."""

    def default_input_fn(self, body: Any, kind: str) -> Any:  # noqa: ANN401
        import xgboost as xgb  # noqa: PLC0415
        from sagemaker_inference.errors import UnsupportedFormatError  # noqa: PLC0415

        if kind == "text/csv":
            return xgb.DMatrix(
                np.array([[cell or "nan" for cell in line.split(",")] for line in body.split("\n")], float)
            )
        if kind not in ("text/libsvm", "text/x-libsvm"):
            raise UnsupportedFormatError(kind)
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            return xgb.DMatrix(f"{file.name}?format=libsvm&indexing_mode=0")

    def default_predict_fn(self, data: Any, model: Any) -> Any:  # noqa: ANN401
        return model.predict(data, validate_features=False)

    def default_output_fn(self, prediction: Any, accept: str) -> Any:  # noqa: ANN401
        from sagemaker_containers.beta.framework import encoders  # noqa: PLC0415

        return encoders.encode(prediction, accept)

    def default_model_fn(self, model_dir: str) -> Any:  # noqa: ANN401
        raise NotImplementedError


class Recordio(Server):
    """Not a container: what writes the records that XGBoost's reads, and those of its answers."""

    def answer(self, headers: Headers, body: bytes) -> Answer:
        from sagemaker_containers import _encoders as encoders  # noqa: PLC0415
        from sagemaker_containers import _recordio  # noqa: PLC0415
        from sagemaker_containers.record_pb2 import Record  # noqa: PLC0415
        from scipy import sparse  # noqa: PLC0415

        rows = json.loads(body)
        if headers["Content-Type"] != "label":
            array = np.array(rows, np.float32)
            sparsely = headers["Content-Type"] == "sparse"
            made = encoders.array_to_recordio_protobuf(sparse.csr_matrix(array) if sparsely else array)
            return Answer(200, "", made)
        record, stream = Record(), io.BytesIO()
        for name, values in rows.items():
            record.label[name].float32_tensor.values.extend(values)
        _recordio._write_recordio(stream, record.SerializeToString())
        return Answer(200, "", stream.getvalue())


def main(stream: BinaryIO) -> list[dict[str, Any]]:
    """Every answer."""
    asked = json.load(stream)
    folder = Path(asked["folder"])
    with tempfile.TemporaryDirectory() as base:
        Path(base, "model").symlink_to(folder)
        os.environ.update(SAGEMAKER_BASE_DIR=base, SAGEMAKER_PROGRAM=SCRIPT)
        sys.path.insert(0, str(folder / "code"))
        server = _server(asked["container"], folder)
        answers = [server.answer(one["headers"], base64.b64decode(one["body"])) for one in asked["requests"]]
    return [{**answer._asdict(), "body": base64.b64encode(answer.body).decode()} for answer in answers]


def _server(container: str, folder: Path) -> Server:
    if container == "recordio":
        return Recordio()
    if container == "scikit-learn":
        return Flask()
    return MultiModelServer(folder, XgboostHandler() if container == "xgboost" else None)


def _read(message: bytes) -> Answer:
    """The one answer in a message of Multi Model Server's protocol."""
    place = 0

    def number() -> int:
        nonlocal place
        (value,) = unpack_from("!i", message, place)
        place += 4
        return int(value)

    def part() -> bytes:
        nonlocal place
        length = number()
        place += length
        return message[place - length : place]

    number(), part(), part()  # the message's status and text, the request's name
    kind, status = part(), number()
    part()  # the status in words
    for _ in range(number()):
        part(), part()  # a header and its value
    return Answer(status, kind.decode(), part())


if __name__ == "__main__":
    # The older toolkit is of Pythons that had these names there.
    for name in ("Mapping", "MutableMapping"):
        setattr(collections, name, getattr(collections.abc, name))
    warnings.simplefilter("ignore")
    said = json.dumps(main(sys.stdin.buffer))
    sys.stdout.write(f"\n{said}\n")
