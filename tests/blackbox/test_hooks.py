"""Scripts made for AWS's scikit-learn and XGBoost containers, run unchanged: the same bytes as their own code gives.

On the local server, but for one in the arm64 images: how a script is run does not depend on the target.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any, ClassVar

import joblib
import lightgbm as lgb
import numpy as np
import pytest
import xgboost as xgb
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from assets import onnx_models
from harness.bodies import CSV, JSON, NPY, as_json, as_npy, refusal
from harness.crowd import until
from harness.servers import Server
from harness.targets import COMMAND_SECONDS, ROOT, Image, Local

SCRIPTS = ROOT / "tests" / "assets" / "scripts"
X, Y = load_iris(return_X_y=True)
LINES = "\n".join(",".join(map(str, row)) for row in X[::30].tolist())
Start = Callable[..., Server]

# Everything but the model is the container's own.
DEFAULTS = """
import joblib, os
from helper import NAME

def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, NAME))
"""
# What a request says is what happens.
ACTOR = """
import os, time

from sagemaker_inference.errors import GenericInferenceToolkitError

class Refusal(Exception):
    status_code = 415

def execution_parameters_fn():
    return '{"MaxPayloadInMB": 3}'

def model_fn(model_dir):
    return len(os.listdir(model_dir))

def transform_fn(model, body, content_type, accept, context):
    if body == "raise":
        raise ValueError("no such thing in /opt/ml/model/code/x.py")
    if body == "refuse":
        raise Refusal("only text/csv")
    if body == "odd":
        raise GenericInferenceToolkitError(422, "no cats")
    if body == "answer":
        context.set_response_status(207)
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", context.get_request_header(0, "X-Trace"))
        return {"given": accept}
    if body == "exit":
        os._exit(3)
    if body == "hang":
        time.sleep(600)
    return f"{model} {os.getpid()} {context.get_request_header(0, 'Content-Type')}", "text/plain"
"""


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a local server of the test's own, without waiting for it."""
    servers: list[Server] = []

    def started(folder: Path, **environment: str) -> Server:
        servers.append(Local().start(folder, environment))
        return servers[-1]

    yield started
    for server in servers:
        server.remove()


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive as the SDK repacks it: the model and `code/`."""
    made = tmp_path_factory.mktemp("iris")
    made.chmod(0o755)
    joblib.dump(LogisticRegression(max_iter=500).fit(X, Y), made / "model.joblib")
    shutil.copytree(SCRIPTS / "iris", made / "code")
    return made


@pytest.fixture
def own() -> Iterator[ModuleType]:
    """The script in this process."""
    sys.path.insert(0, str(SCRIPTS / "iris"))
    spec = importlib.util.spec_from_file_location("iris_inference", SCRIPTS / "iris" / "inference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(SCRIPTS / "iris"))
    del sys.modules["features"]


def answered(own: ModuleType, folder: Path, body: str, content_type: str, accept: str) -> Any:  # noqa: ANN401
    """What the script's own functions give, called one after the other."""
    model = own.model_fn(str(folder))
    return own.output_fn(own.predict_fn(own.input_fn(body, content_type), model), accept)


def check(server: Server, folder: Path, own: ModuleType) -> None:
    as_csv = server.post(LINES.encode(), CSV, CSV)
    assert as_csv.text == answered(own, folder, LINES, CSV, CSV)
    assert as_csv.headers["content-type"] == f"{CSV}; charset=utf-8"
    body = as_json({"instances": X[::30].tolist()})
    as_document = server.post(body, JSON, JSON)
    assert (as_document.text, as_document.headers["content-type"]) == answered(own, folder, body.decode(), JSON, JSON)


def test_a_script_answers_as_it_does_in_process(start: Start, iris: Path, own: ModuleType) -> None:
    server = start(iris, SAGEMAKER_MODEL_SERVER_WORKERS="2").until_ready()
    check(server, iris, own)
    refused = server.post(b"<x/>", "text/xml")
    assert refusal(refused) == (500, "script_failed")
    assert refused.json()["error"] == "unsupported content type text/xml"
    page = server.client.get("/openapi.json").json()["paths"]["/invocations"]["post"]
    assert page["summary"] == "Run the script"
    assert server.logs().count("loading [") == 2  # once in each process, for all requests


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A script with a model of each framework but TensorFlow, and what they give for X[::30] in this process."""
    made = tmp_path_factory.mktemp("everything")
    made.chmod(0o755)
    shutil.copytree(SCRIPTS / "everything", made / "code")
    forest = HistGradientBoostingClassifier(max_iter=5).fit(X, Y)
    joblib.dump(forest, made / "model.joblib")
    booster = xgb.train({"objective": "multi:softprob", "num_class": 3}, xgb.DMatrix(X, Y), 5)
    booster.save_model(made / "model.ubj")
    light = lgb.train({"objective": "multiclass", "num_class": 3, "verbosity": -1}, lgb.Dataset(X, Y), 5)
    light.save_model(made / "model.txt")
    onnx_models.matmul(made / "model.onnx", inputs=X.shape[1], outputs=2)
    return made, {
        "scikit-learn": forest.predict_proba(X[::30]),
        "xgboost": booster.predict(xgb.DMatrix(X[::30])),
        "lightgbm": light.predict(X[::30]),
        "onnx": X[::30] @ onnx_models.weight(X.shape[1], 2),
    }


# What a worker does, without a server around it: that costs a minute when emulated, and nothing of it is asked here.
ALONE = """
import sys
sys.path.insert(0, "/opt/ml/model/code")
import inference
model = inference.model_fn("/opt/ml/model")
print(inference.output_fn(inference.predict_fn(inference.input_fn(sys.argv[1], ""), model), "")[0])
"""


@pytest.mark.graviton
def test_a_script_may_have_several_frameworks_in_one_process(
    target: Image, everything: tuple[Path, dict[str, Any]]
) -> None:
    """Each brings an OpenMP runtime of its own, which TensorFlow does not."""
    folder, expected = everything
    run = target._docker_run(folder, {"OMP_NUM_THREADS": "2"}, "12345:12345")
    asked = ["-W", "ignore", "-c", ALONE, json.dumps(X[::30].tolist())]
    done = subprocess.run(
        [*run, "--rm", "--entrypoint", "python3", target.image, *asked],
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    given = json.loads(done.stdout.strip().rpartition("\n")[2])
    assert given.keys() == expected.keys()
    for framework, numbers in expected.items():
        np.testing.assert_allclose(given[framework], numbers, rtol=1e-5, atol=1e-7, err_msg=framework)


class Bucket(BaseHTTPRequestHandler):
    """A double of S3 with one object, for the execution role alone; and of where a container gets that role."""

    content = b""
    role: ClassVar = {"AccessKeyId": "role", "SecretAccessKey": "secret", "Token": "session"}

    def do_HEAD(self) -> None:
        self._begin()

    def do_GET(self) -> None:
        self.wfile.write(self._begin())

    def _begin(self) -> bytes:
        """Answer with what is asked for, or refuse."""
        content = json.dumps({**self.role, "Expiration": "2100-01-01T00:00:00Z"}).encode()
        known = self.path == "/role"
        if not known:
            content = self.content
            session, signature = self.headers["X-Amz-Security-Token"], self.headers["Authorization"]
            known = self.path == "/scripts/job/sourcedir.tar.gz" and session == "session" and "=role/" in signature
        self.send_response(200 if known else 403)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[dict[str, str]]:
    """What makes a server find sourcedir.tar.gz in S3, as the SDK sets it for scikit-learn's users."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(DEFAULTS)
    (source / "helper.py").write_text("NAME = 'model.joblib'\n")
    with tarfile.open(tmp_path / "sourcedir.tar.gz", "w:gz") as tar:
        tar.add(source, ".")
    Bucket.content = (tmp_path / "sourcedir.tar.gz").read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    Thread(target=server.serve_forever, daemon=True).start()
    yield {
        "SAGEMAKER_PROGRAM": "train.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "s3://scripts/job/sourcedir.tar.gz",
        "SAGEMAKER_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_port}",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{server.server_port}/role",
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "NO_PROXY": "127.0.0.1",
    }
    server.shutdown()
    server.server_close()


def test_a_script_in_s3_with_the_containers_defaults(start: Start, iris: Path, bucket: dict[str, str]) -> None:
    server = start(iris, SAGEMAKER_MODEL_SERVER_WORKERS="1", **bucket).until_ready()
    expected = json.dumps(joblib.load(iris / "model.joblib").predict(X[::30]).tolist())
    assert server.post(as_json(X[::30].tolist()), "").text == expected
    assert server.post(LINES.encode(), CSV).text == expected
    assert server.post(as_npy(X[::30]), NPY, "*/*").text == expected
    assert server.post(LINES.encode(), CSV, CSV).text == "".join(f"{label}\n" for label in json.loads(expected))
    assert refusal(server.post(b"a,b", CSV)) == (400, "script_rejected_input")
    assert refusal(server.post(b"[[", JSON)) == (400, "script_rejected_input")
    assert refusal(server.post(b"x", "image/png")) == (415, "unsupported_media_type")
    assert refusal(server.post(LINES.encode(), CSV, "text/html")) == (406, "not_acceptable")
    assert "downloading the script from s3://scripts/job/sourcedir.tar.gz" in server.logs()


def test_a_script_that_misbehaves_harms_nobody_else(start: Start, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(ACTOR)
    server = start(tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS="1", SAGEMAKER_MODEL_SERVER_TIMEOUT="1.5").until_ready()
    model, first, kind = server.post(b"ask", CSV).text.split()
    assert (model, kind) == ("1", CSV)
    raised = server.post(b"raise", CSV)
    assert refusal(raised) == (500, "script_failed")
    assert raised.json()["error"] == "no such thing in …"
    assert refusal(server.post(b"refuse", CSV)) == (415, "unsupported_media_type")
    odd = server.post(b"odd", CSV)
    assert refusal(odd) == (422, "script_rejected_input")
    assert odd.json()["error"] == "no cats"
    told = server.post(b"answer", CSV, JSON, **{"x-trace": "t7"})
    assert (told.status_code, told.json()) == (207, {"given": JSON})
    assert told.headers["x-amzn-sagemaker-custom-attributes"] == "t7"
    assert server.client.get("/execution-parameters").json() == {"MaxPayloadInMB": 3}
    # ContentType is what some of AWS's services send.
    assert server.post(b"ask", "text/plain", ContentType=CSV).text.split()[2] == CSV
    empty = server.post(b"", CSV)
    assert (empty.status_code, empty.text.split()[0]) == (200, "1")
    assert refusal(server.post(b"exit", CSV)) == (500, "script_failed")
    until(server, lambda: server.ping() == 200)
    assert server.post(b"ask", CSV).text.split()[1] != first
    assert refusal(server.post(b"hang", CSV)) == (504, "deadline_exceeded")
    until(server, lambda: server.ping() == 200)
    assert server.post(b"ask", CSV).status_code == 200
    # Without a model in the server there is nothing behind TensorFlow Serving's paths.
    assert server.client.get("/v1/models/model").status_code in (404, 503)


def test_a_script_that_cannot_load_its_model_ends_the_server(start: Start, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text("def model_fn(model_dir):\n    return open(model_dir + '/gone')\n")
    server = start(tmp_path)
    assert server.until_ended() == 1
    assert "The script cannot be run: FileNotFoundError" in server.logs()
