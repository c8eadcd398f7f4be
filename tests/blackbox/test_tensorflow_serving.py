"""What clients of TensorFlow Serving and of AWS's container for it send: models, versions, signatures, bytes.

On the local server alone: these are ways to name what the other tests run in the images.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from assets import keras_models
from assets.needed import needed
from harness.bodies import CSV, JSON, JSONLINES, as_json, document
from harness.servers import Server
from harness.targets import Local

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
JPEG = b"\xff\xd8\xff\xe0 not UTF-8\x00"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`half` in the versions 1 (x / 2 + 2) and 2 (x / 2 + 3), and `binary`, whose input is bytes."""
    made = tmp_path_factory.mktemp("models")
    keras_models.half_plus(made / "half" / "1")
    keras_models.half_plus(made / "half" / "2", addend=3.0)
    keras_models.binary(made / "binary" / "00001")
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    needed(lambda: __import__("tensorflow"))
    started = Local().start(folder, {"SAGEMAKER_TFS_DEFAULT_MODEL_NAME": "half"})
    started.until_ready()
    yield started
    started.remove()


def asking(server: Server, attributes: str, body: Any = None, content_type: str = JSON) -> httpx.Response:  # noqa: ANN401
    """The answer to a request with these custom attributes."""
    content = body if isinstance(body, bytes) else as_json({"instances": [1.0, 5.0]} if body is None else body)
    return server.post(content, content_type, **{ATTRIBUTES: attributes})


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ("", [3.5, 5.5]),
        ("tfs-model-name=half", [3.5, 5.5]),
        ("tfs-model-version=1", [2.5, 4.5]),
        ("tfs-model-name=half,tfs-model-version=2,tfs-method=predict", [3.5, 5.5]),
        ("tfs-model-version=1,tfs-signature-name=tripled", [3.0, 15.0]),
    ],
)
def test_custom_attributes_choose(server: Server, attributes: str, wanted: list[float]) -> None:
    assert document(asking(server, attributes)) == {"predictions": wanted}


def test_the_body_chooses_the_signature_too(server: Server) -> None:
    tripled = {"signature_name": "tripled", "inputs": [1.0, 5.0]}
    assert document(asking(server, "", tripled)) == {"outputs": [3.0, 15.0]}
    assert document(asking(server, "tfs-signature-name=serving_default", tripled)) == {"outputs": [3.0, 15.0]}


@pytest.mark.parametrize(
    ("attributes", "status", "code"),
    [
        ("tfs-model-name=third", 404, "unknown_model"),
        ("tfs-model-version=9", 404, "unknown_model"),
        ("tfs-model-version=two", 400, "invalid_attribute"),
        ("tfs-method=train", 400, "invalid_attribute"),
        ("tfs-method=classify", 400, "unsupported_method"),
        ("tfs-signature-name=none", 400, "unknown_signature"),
    ],
)
def test_what_is_not_there_is_refused_and_disturbs_nobody(
    server: Server, attributes: str, status: int, code: str
) -> None:
    answer = asking(server, attributes)
    assert answer.status_code == status
    assert answer.json()["code"] == code
    assert document(asking(server, "")) == {"predictions": [3.5, 5.5]}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSONLINES, b"1.0\n5.0\n"),
        ("application/jsons", b"[1.0][5.0]"),
        (CSV, b"1.0\n5.0\n"),
    ],
)
def test_lines_are_rows_as_in_awss_container(server: Server, content_type: str, body: bytes) -> None:
    answer = asking(server, "tfs-model-version=1", body, content_type)
    if content_type == "application/jsons":
        # Rows of this model are numbers, and these are arrays.
        assert answer.json()["code"] == "wrong_rank"
    else:
        assert document(answer) == {"predictions": [2.5, 4.5]}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/v1/models/half:predict", [3.5, 5.5]),
        ("/v1/models/half/versions/1:predict", [2.5, 4.5]),
    ],
)
@pytest.mark.parametrize("content_type", ["", JSON, "application/x-www-form-urlencoded"])
def test_tensorflow_servings_paths_take_json_by_any_name(
    server: Server, path: str, wanted: list[float], content_type: str
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = server.client.post(path, content=as_json({"instances": [1.0, 5.0]}), headers=headers)
    assert document(answer) == {"predictions": wanted}


def test_an_error_there_has_tensorflow_servings_error(server: Server) -> None:
    answer = server.client.post("/v1/models/third:predict", content=as_json({"instances": [1.0]}))
    assert answer.status_code == 404
    assert "third" in answer.json()["error"]
    wrong = server.client.post("/v1/models/half:predict", content=b"{")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_json")


def test_the_versions_in_service_are_told(server: Server) -> None:
    told = server.client.get("/v1/models/half").json()["model_version_status"]
    assert [(one["version"], one["state"]) for one in told] == [("2", "AVAILABLE"), ("1", "AVAILABLE")]
    (first,) = server.client.get("/v1/models/half/versions/1").json()["model_version_status"]
    assert first["version"] == "1"
    assert first["status"] == {"error_code": "OK", "error_message": ""}
    assert server.client.get("/v1/models/half/versions/7").status_code == 404
    assert server.client.get("/v1/models/none").json()["code"] == "unknown_model"


def test_bytes_go_in_and_out_as_base64(server: Server) -> None:
    rows = [{"b64": base64.b64encode(JPEG).decode()}, {"b64": base64.b64encode(b"text").decode()}, "text"]
    first, second, third = document(asking(server, "tfs-model-name=binary", {"instances": rows}))["predictions"]
    assert first == {"same_bytes": rows[0], "same": rows[0], "length": len(JPEG)}
    assert second == {"same_bytes": rows[1], "same": "text", "length": 4}
    assert third == second
    refused = asking(server, "tfs-model-name=binary", {"instances": [{"b64": "no base64"}]})
    assert refused.json()["code"] == "wrong_type"
