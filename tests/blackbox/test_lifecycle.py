"""Start, failure to start, and stop."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest

from assets import onnx_models
from blackbox.conftest import Folder
from harness.bodies import as_json, document, refusal
from harness.crowd import metric, until
from harness.servers import STOP_SECONDS, Server
from harness.targets import Target

pytestmark = pytest.mark.any_graviton

Serve = Callable[..., Server]
# Enough dummy work for a run of the model to take a third of a second or so, and some seconds on a busy machine.
LOOPS, EMULATED_LOOPS = 5_000, 8
PING_SECONDS = 2.0
"""SageMaker's limit for an answer of /ping."""


@pytest.fixture
def sluggish(target: Target, model_folder: Folder) -> Path:
    """`x` float32 [N, 3] -> `y`, the same, after a good while."""
    return model_folder(onnx_models.slow, loops=EMULATED_LOOPS if target.emulated else LOOPS)


def test_ping_tells_the_state_while_the_model_is_prepared(serve: Serve, sluggish: Path) -> None:
    server = serve(sluggish)
    first = server.until_it_answers()
    assert first.status_code == 503
    assert first.json()["state"] in ("starting", "loading", "warming")
    until(server, lambda: server.client.get("/ping").json()["state"] == "warming")
    assert refusal(server.post(as_json([[1, 2, 3]]))) == (503, "not_ready")
    assert metric(server, 'serving_state{state="warming"}') == 1
    assert server.until_ready().client.get("/ping").json() == {"state": "ready"}
    assert document(server.post(as_json([[1, 2, 3]]))) == {"predictions": [[1.0, 2.0, 3.0]]}


def test_ping_answers_in_time_while_the_model_runs(serve: Serve, sluggish: Path) -> None:
    server = serve(sluggish).until_ready()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.post, as_json([[1, 2, 3]]))
        pings = 0
        while not answer.done():
            started = monotonic()
            assert server.client.get("/ping").status_code == 200
            assert monotonic() - started < PING_SECONDS
            pings += 1
        assert document(answer.result()) == {"predictions": [[1.0, 2.0, 3.0]]}
    assert pings > 1


def test_sigterm_loses_no_request_and_exits_0(serve: Serve, sluggish: Path) -> None:
    server = serve(sluggish, SERVING_MAX_BATCH="4").until_ready()
    # The first page brings the library that writes it, which under emulation takes longer than all of the requests.
    assert metric(server, "serving_waiting_requests") == 0
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(server.post, as_json([[number, 0, 0]])) for number in range(8)]
        until(server, lambda: metric(server, "serving_waiting_requests") >= 4)
        started = monotonic()
        server.terminate()
        assert [document(answer.result()) for answer in answers] == [
            {"predictions": [[float(number), 0.0, 0.0]]} for number in range(8)
        ]
    assert server.until_ended() == 0
    assert monotonic() - started < STOP_SECONDS


def test_sigterm_while_loading_exits_0(serve: Serve, sluggish: Path) -> None:
    server = serve(sluggish)
    server.until_it_answers()
    server.terminate()
    assert server.until_ended() == 0


def gives_up(server: Server) -> str:
    """The log of a server that ends with status 1 and says why in one paragraph."""
    assert server.until_ended(120) == 1
    logs = server.logs()
    assert "Traceback" not in logs
    return logs


def test_no_model_ends_it_with_what_was_found_and_expected(serve: Serve, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert "which holds nothing. Expected: exactly one .onnx file" in gives_up(serve(tmp_path))
    (tmp_path / "readme.txt").write_text("no model")
    assert "readme.txt" in gives_up(serve(tmp_path))


def test_several_models_end_it_with_their_names(serve: Serve, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "deeper").mkdir()
    onnx_models.identity(tmp_path / "one.onnx")
    onnx_models.identity(tmp_path / "deeper" / "two.onnx")
    logs = gives_up(serve(tmp_path))
    assert "Several models" in logs
    assert "deeper/two.onnx, one.onnx" in logs


def test_a_broken_model_ends_it_with_the_reason(serve: Serve, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "model.onnx").write_bytes(b"no protobuf at all")
    assert "could not be loaded by ONNX Runtime" in gives_up(serve(tmp_path))
    onnx_models.external_data(tmp_path / "model.onnx").with_name("model.onnx.data").unlink()
    assert "external data" in gives_up(serve(tmp_path))


def test_a_setting_that_cannot_be_used_is_named(serve: Serve, model_folder: Folder) -> None:
    server = serve(model_folder(onnx_models.identity), SERVING_FPMATH="fast")
    assert server.until_ended(120) == 2
    assert "SERVING_FPMATH is 'fast'; it takes one of auto, bf16, strict" in server.logs()


@pytest.mark.container
def test_any_user_will_do(serve: Serve, model_folder: Folder) -> None:
    server = serve(model_folder(onnx_models.identity), user="12345:12345").until_ready()
    assert document(server.post(as_json([[1, 2, 3]]))) == {"predictions": [[1.0, 2.0, 3.0]]}
    server.terminate()
    assert server.until_ended() == 0
