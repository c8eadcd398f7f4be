"""Scripts written for AWS's TensorFlow Serving container, run unchanged around real models; and scripts that misbehave.

On the local server, but for one script in the arm64 image: how a script is run does not depend on the target.
"""

import io
import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image as Picture

from assets import keras_models, onnx_models
from assets.needed import needed
from assets.wheels import wheel
from harness.bodies import CSV, JSON, JSONLINES, as_json, document, refusal
from harness.crowd import at_once, metric, until
from harness.processes import is_alive
from harness.servers import STOP_SECONDS, LocalServer, Server
from harness.targets import ROOT, Image, Local

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
SCRIPTS = ROOT / "tests" / "assets" / "scripts"
Start = Callable[..., Server]

# What a request's body says is what happens; anything else goes through the model (`x` float32 [N, 3], the same out).
ACTOR = """
import json, os, sys, time
from pathlib import Path
import requests

print("loading", flush=True)

def handler(data, context):
    order, _, rest = data.read().decode().partition(" ")
    if order == "raise":
        raise ValueError("unsupported content type " + context.request_content_type)
    if order == "open":
        open("/opt/ml/model/code/" + rest)
    if order == "none":
        return None
    if order == "exit":
        os._exit(3)
    if order == "hang":
        Path(rest).write_text(str(os.getpid()))
        while True:
            pass
    if order == "print":
        print("to stdout:", rest)
        print("to stderr:", rest, file=sys.stderr)
        return "", None
    if order == "empty":
        return "", "text/plain"
    if order == "gate":
        Path(rest + ".reached").write_text("")
        Path(rest).read_text()  # a named pipe: until somebody writes to it
        order = "7"
    times = 1
    if order == "many":
        order, times = rest.split()[0], 100_000
    rows = [[float(order), 0, 0]] * times
    answer = requests.post(context.rest_uri, data=json.dumps({"instances": rows}))
    answer.raise_for_status()
    return str(answer.json()["predictions"][0][0]), "text/x-number; of=" + (context.custom_attributes or "none")
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An ONNX model and a script that does what it is told."""
    onnx_models.identity(tmp_path / "model.onnx")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(ACTOR)
    return tmp_path


def with_script(name: str, folder: Path) -> Path:
    shutil.copytree(SCRIPTS / name, folder / "code")
    return folder


def workers_of(server: Server) -> list[int]:
    """The processes of this server's script."""
    assert isinstance(server, LocalServer)
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    return [int(pid) for pid in children.read_text().split()]


# ---- Scripts as users write them, around TensorFlow models ----


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`half` in the versions 1 (x / 2 + 2) and 2 (x / 2 + 3)."""
    needed(lambda: __import__("tensorflow"))
    made = tmp_path_factory.mktemp("half")
    made.chmod(0o755)
    keras_models.half_plus(made / "half" / "1")
    keras_models.half_plus(made / "half" / "2", addend=3.0)
    return made


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needed(lambda: __import__("tensorflow"))
    made = tmp_path_factory.mktemp("classifier")
    keras_models.saved_conv_net(made / "classifier" / "1")
    return with_script("pictures", made)


def test_a_handler_decodes_pictures_and_csv_and_posts_to_the_model(classifier: Path, start: Start) -> None:
    server = start(classifier).until_ready()
    pixels = np.random.default_rng(3).integers(0, 256, (16, 16, 3), np.uint8)
    wanted = keras_models.conv_net()(pixels[None].astype(np.float32) / 255).numpy()
    png = io.BytesIO()
    Picture.fromarray(pixels).save(png, "PNG")
    answer = document(server.post(png.getvalue(), "application/x-image"))
    np.testing.assert_allclose(answer["scores"], wanted, rtol=1e-4, atol=1e-5)
    name = ["cat", "dog", "frog", "horse", "ship"][int(wanted.argmax())]
    assert answer["classes"] == [name]
    line = ",".join(str(value) for value in (pixels / 255).ravel())
    as_text = server.post(f"{line}\n{line}\n".encode(), CSV, CSV)
    assert (as_text.text, as_text.headers["content-type"]) == (f"{name}\n{name}\n", CSV)
    refused = server.post(b"<x/>", "text/xml")
    assert refusal(refused) == (500, "script_failed")
    assert refused.json()["error"] == '{"error": "unsupported content type text/xml"}'


@pytest.fixture(scope="module")
def scaled(request: pytest.FixtureRequest, half: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = tmp_path_factory.mktemp("scaled")
    made.chmod(0o755)
    shutil.copytree(half / "half", made / "half")
    with_script("scaled", made)
    if request.param == "local":
        server = Local().start(made, {})
    else:
        image_of = request.getfixturevalue("image_of")
        server = Image(image_of("arm64", "full"), "arm64", "neoverse-v1").start(
            made, {"SAGEMAKER_GUNICORN_WORKERS": "1"}, "12345:12345"
        )
    yield server.until_ready()
    server.remove()


@pytest.mark.parametrize(
    "scaled", ["local", pytest.param("arm64-neoverse-v1", marks=pytest.mark.container)], indirect=True, scope="module"
)
def test_two_handlers_a_helper_and_a_library_are_around_the_model(scaled: Server) -> None:
    feet = as_json({"feet": [10.0, 100.0]})
    answer = document(scaled.post(feet, JSON, JSON))
    assert answer == {"predictions": [4.524, 18.24], "trace": None, "version": None}
    chosen = {ATTRIBUTES: "trace=abc,tfs-model-version=1"}
    answer = document(scaled.post(b"10,100", CSV, JSON, **chosen))
    assert answer == {"predictions": [3.524, 17.24], "trace": "abc", "version": "1"}
    wrong = scaled.post(b"10", "text/plain")
    assert refusal(wrong) == (500, "script_failed")
    assert wrong.json()["error"] == 'Error: 415, Unsupported content type "text/plain"'
    unknown = scaled.post(feet, **{ATTRIBUTES: "tfs-model-name=third"})
    assert refusal(unknown) == (500, "script_failed")
    assert unknown.json()["error"].startswith("Error: 404, expected one of the models 'half'")
    assert refusal(scaled.post(feet, **{ATTRIBUTES: "tfs-model-version=two"})) == (400, "invalid_attribute")
    assert '"message": "request of 6 bytes"' in scaled.logs()
    page = scaled.client.get("/openapi.json").json()["paths"]["/invocations"]["post"]
    assert page["summary"] == "Run the script"


def with_requirements(half: Path, made: Path, text: str) -> Path:
    """The model and a script whose requirements come as a wheel with the archive."""
    made.mkdir()
    made.chmod(0o755)
    shutil.copytree(half / "half", made / "half")
    with_script("greeting", made)
    wheel(made / "code", "greetings", "def greet(name):\n    return f'hello {name}'\n")
    (made / "code" / "requirements.txt").write_text(text)
    return made


def greets(server: Server) -> None:
    chosen = {ATTRIBUTES: "tfs-model-name=half,tfs-model-version=1,tfs-method=predict"}
    answer = server.post(b'{"value": 1.0}\n{"value": 5.0}\n', JSONLINES, **chosen)
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSONLINES)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == [{"greeting": "hello half", "value": value, "method": "predict"} for value in (2.5, 4.5)]


def test_requirements_are_installed_before_the_script_is_loaded(half: Path, start: Start, tmp_path: Path) -> None:
    folder = with_requirements(half, tmp_path / "archive", "--no-index\n--find-links .\ngreetings==1.0\n")
    (tmp_path / "temporary").mkdir()
    server = start(folder, TMPDIR=str(tmp_path / "temporary")).until_ready()
    greets(server)
    assert "Successfully installed greetings-1.0" in server.logs()
    server.terminate()
    assert server.until_ended() == 0
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.container
def test_requirements_are_installed_in_an_image_that_is_read_only(
    half: Path, tmp_path: Path, image_of: Callable[[str, str], str]
) -> None:
    folder = with_requirements(half, tmp_path / "archive", "--no-index\n--find-links .\ngreetings==1.0\n")
    server = Image(image_of("arm64", "full"), "arm64", "neoverse-n1").start(
        folder, {"SAGEMAKER_GUNICORN_WORKERS": "1"}, "12345:12345"
    )
    try:
        greets(server.until_ready())
    finally:
        server.remove()


def test_requirements_that_cannot_be_installed_end_the_server_with_the_reason(
    half: Path, start: Start, tmp_path: Path
) -> None:
    folder = with_requirements(half, tmp_path / "archive", "greetings==2.0\n")
    server = start(folder, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0")
    assert server.until_ended(120) == 1
    for complaint in ("No matching distribution found for greetings==2.0", "could not be installed", "code/lib"):
        assert complaint in server.logs()


def test_sigterm_while_requirements_are_installed_exits_0(folder: Path, start: Start) -> None:
    (folder / "code" / "requirements.txt").write_text("greetings\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = start(folder, PIP_INDEX_URL=f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        silent.settimeout(STOP_SECONDS)
        connection, _ = silent.accept()  # pip has asked, and will wait for an answer
        (pip,) = workers_of(server)
        server.terminate()
        assert server.until_ended() == 0
        assert not is_alive(pip)
        connection.close()


# ---- Scripts that misbehave ----


def test_many_at_once_each_get_their_own_answer(folder: Path, start: Start) -> None:
    server = start(folder).until_ready()
    answers = at_once(lambda n: server.post(str(n).encode(), **{ATTRIBUTES: f"n{n}"}), range(200))
    assert [answer.text for answer in answers] == [f"{n}.0" for n in range(200)]
    assert [answer.headers["content-type"] for answer in answers] == [f"text/x-number; of=n{n}" for n in range(200)]
    # What the script asked the model is not counted again.
    assert metric(server, 'serving_requests_total{status="200"}') == 200


def test_a_script_that_fails_answers_500_and_goes_on(folder: Path, start: Start) -> None:
    server = start(folder, SAGEMAKER_GUNICORN_WORKERS="1").until_ready()
    (worker,) = workers_of(server)
    raised = server.post(b"raise", "text/html")
    assert refusal(raised) == (500, "script_failed")
    assert raised.json()["error"] == "unsupported content type text/html"
    assert refusal(server.post(b"open labels.txt")) == (500, "script_failed")
    wrong = server.post(b"none")
    assert refusal(wrong) == (500, "script_failed")
    assert wrong.json()["error"] == "handler: expected (body, content type) to be returned, got NoneType"
    assert workers_of(server) == [worker]
    assert server.post(b"5").text == "5.0"
    logs = server.logs()
    assert "labels.txt" in logs
    assert "Traceback" in logs
    assert metric(server, 'serving_requests_total{status="500"}') == 3


def test_a_script_that_ends_its_process_costs_its_own_request_alone(folder: Path, start: Start) -> None:
    server = start(folder, SAGEMAKER_GUNICORN_WORKERS="1").until_ready()
    answers = at_once(server.post, [b"1", b"exit", b"2", b"3"])
    assert [answer.status_code for answer in answers] == [200, 500, 200, 200]
    assert refusal(answers[1]) == (500, "script_failed")
    assert "ended with status 3 and is replaced" in server.logs()
    assert server.ping() == 200


def test_a_script_that_hangs_is_given_up_at_the_deadline(folder: Path, start: Start, tmp_path: Path) -> None:
    server = start(folder, SAGEMAKER_MODEL_SERVER_TIMEOUT="1").until_ready()
    assert refusal(server.post(f"hang {tmp_path / 'pid'}".encode())) == (504, "deadline_exceeded")
    until(server, lambda: not is_alive(int((tmp_path / "pid").read_text())))
    assert server.post(b"5").text == "5.0"


def test_what_a_script_prints_is_in_the_log(folder: Path, start: Start) -> None:
    server = start(folder).until_ready()
    assert server.post(b"print it").status_code == 200
    logs = server.logs()
    assert "\nto stdout: it\n" in logs
    assert "\nto stderr: it\n" in logs


def test_the_body_is_the_scripts_affair_but_not_its_size(folder: Path, start: Start) -> None:
    server = start(folder, SERVING_MAX_PAYLOAD_MB="0.001").until_ready()
    empty = server.client.post("/invocations", content=b"")
    assert refusal(empty) == (500, "script_failed")  # float("")
    assert refusal(server.post(b"1" * 2000)) == (413, "payload_too_large")
    answer = server.post(b"empty", accept="application/octet-stream")
    assert (answer.content, answer.headers["content-type"]) == (b"", "text/plain")


def test_more_than_may_wait_are_refused(folder: Path, start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    server = start(folder, SAGEMAKER_GUNICORN_WORKERS="1", SERVING_MAX_QUEUE="1").until_ready()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(server.post, f"gate {tmp_path / 'gate'}".encode())
        until(server, (tmp_path / "gate.reached").exists)
        second = pool.submit(server.post, b"2")
        until(server, lambda: metric(server, "serving_script_waiting_requests") == 1)
        assert refusal(server.post(b"3")) == (503, "overloaded")
        (tmp_path / "gate").write_text("open")
        assert (first.result().text, second.result().text) == ("7.0", "2.0")


def test_what_a_script_asks_does_not_wait_for_the_room_that_its_request_has(folder: Path, start: Start) -> None:
    # Of each, and of what the script makes of it, only one has room at a time.
    server = start(folder, SERVING_MAX_BODIES_MB="1").until_ready()
    bodies = [b"many %d " % number + b" " * 900_000 for number in range(6)]
    answers = at_once(server.post, bodies, len(bodies))
    assert [answer.text for answer in answers] == [f"{number}.0" for number in range(6)]


def test_sigterm_lets_a_script_finish_even_what_it_has_still_to_ask(folder: Path, start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    server = start(folder, SAGEMAKER_GUNICORN_WORKERS="1").until_ready()
    workers = workers_of(server)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(server.post, f"gate {tmp_path / 'gate'}".encode())
        until(server, (tmp_path / "gate.reached").exists)
        waiting = pool.submit(server.post, b"2")
        started = monotonic()
        server.terminate()
        # Beyond the time in which the port would be closed if nothing ran.
        until(server, lambda: not_taken(server))
        (tmp_path / "gate").write_text("open")
        assert first.result().text == "7.0"
        assert waiting.result().text == "2.0"
        assert first.result().headers["connection"] == "close"
    assert server.until_ended() == 0
    assert monotonic() - started < STOP_SECONDS
    assert not any(map(is_alive, workers))


def not_taken(server: Server) -> bool:
    """Whether invocations are refused, as they are once the server waits for the script alone."""
    try:
        answer = httpx.post(f"http://127.0.0.1:{server.port}/invocations", content=b"empty", timeout=0.2)
    except httpx.TimeoutException:
        return False  # it was taken, and waits
    return answer.status_code == 503 and answer.json()["code"] == "not_ready"


def test_kill_9_leaves_no_worker(folder: Path, start: Start, tmp_path: Path) -> None:
    server = start(folder, SAGEMAKER_GUNICORN_WORKERS="2").until_ready()
    assert isinstance(server, LocalServer)
    workers = workers_of(server)
    assert len(workers) == 2
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(server.post, f"hang {tmp_path / 'pid'}".encode())
        until(server, (tmp_path / "pid").exists)
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            hanging.result()
    assert server.until_ended() == -signal.SIGKILL
    deadline = monotonic() + STOP_SECONDS
    while any(map(is_alive, workers)):
        assert monotonic() < deadline, "a worker has outlived its server"


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("def handler(data context):\n    pass\n", ["SyntaxError: ", "The script cannot be run"]),
        ("import nothing_like_this\n", ["No module named 'nothing_like_this'", "Traceback", "line 1, in <module>"]),
        ("def predict_fn(data, model):\n    pass\n", ["It defines no model_fn", "Expected: model_fn(model_dir)"]),
        ("def handle(data):\n    pass\n", ["It defines handle. Expected: handler", "model_fn(model_dir)"]),
    ],
)
def test_a_script_that_cannot_be_loaded_ends_the_server_with_the_reason(
    folder: Path, start: Start, text: str, complaints: list[str]
) -> None:
    (folder / "code" / "inference.py").write_text(text)
    server = start(folder)
    assert server.until_ended(120) == 1
    for complaint in complaints:
        assert complaint in server.logs()


def test_a_script_that_cannot_be_started_again_shows_in_ping_until_it_can(folder: Path, start: Start) -> None:
    server = start(folder, SAGEMAKER_GUNICORN_WORKERS="1").until_ready()
    script = folder / "code" / "inference.py"
    script.write_text("raise RuntimeError('gone')")
    assert refusal(server.post(b"exit")) == (500, "script_failed")
    until(server, lambda: state(server) == {"state": "broken"})
    assert server.ping() == 503
    assert refusal(server.post(b"5")) == (503, "not_ready")
    assert metric(server, 'serving_state{state="broken"}') == 1
    script.write_text(ACTOR)
    server.until_ready()
    assert server.post(b"5").text == "5.0"


def state(server: Server) -> Any:  # noqa: ANN401 (a JSON value)
    return json.loads(server.client.get("/ping").content)
