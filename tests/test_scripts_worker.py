"""What a worker makes of a script, without a process of its own."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

from serving.scripts import worker
from serving.scripts.contract import Call, Handler, ScriptError
from serving.scripts.frames import MAX_HEAD_BYTES, Frame, packed

HEAD = {
    "content_type": "text/plain",
    "accept": "text/plain",
    "custom_attributes": None,
    "model_name": None,
    "model_version": None,
    "method": None,
    "rest_uri": "http://127.0.0.1:9/v1/models/m:predict",
    "timeout": 1.0,
}
ECHO = "def handler(data, context): return data.read(), context.accept_header\n"


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    """What loading a script does to this process ends with the test."""
    path, arguments, before = list(sys.path), list(sys.argv), set(sys.modules)
    yield
    sys.path[:], sys.argv[:] = path, arguments
    for name in set(sys.modules) - before:
        del sys.modules[name]


def loaded(folder: Path, text: str) -> Handler:
    (folder / "inference.py").write_text(text)
    return worker.load(folder / "inference.py", [str(folder), str(folder / "lib")])


def raising(error: BaseException) -> Handler:
    def handler(_call: Call) -> NoReturn:
        raise error

    return handler


def test_an_answer_has_the_scripts_content_type_and_bytes(tmp_path: Path) -> None:
    echo = loaded(tmp_path, ECHO)
    assert worker.answer(echo, Frame(HEAD, b"\x00abc")) == Frame({"content_type": "text/plain"}, b"\x00abc")


def test_helpers_beside_the_script_and_in_lib_count_before_what_is_installed(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "helpers.py").write_text("import inference\nWHO = inference.WHO\n")
    (tmp_path / "lib" / "pip.py").write_text("WHO = 'not pip'")
    sys.modules.pop("pip", None)
    text = "WHO = 'me'\nimport helpers, pip\ndef handler(*_): return helpers.WHO + pip.WHO, None\n"
    assert worker.answer(loaded(tmp_path, text), Frame(HEAD)).body == b"menot pip"


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("", ["It defines no function", "Expected: handler(data, context), or input_handler"]),
        ("def handle(data, context): ...\n_x = 1", ["It defines handle. Expected"]),
        ("def input_handler(data, context): ...", ["It defines input_handler. Expected"]),
        (
            "def model_fn(directory): ...\ndef predict_fn(data, model): ...\ndef transform_fn(*_): ...",
            ["It defines transform_fn and predict_fn. Expected: model_fn(model_dir)"],
        ),
    ],
)
def test_a_script_for_no_known_contract_is_told_what_it_has_and_needs(
    tmp_path: Path, text: str, complaints: list[str]
) -> None:
    with pytest.raises(ScriptError) as raised:
        loaded(tmp_path, text)
    for complaint in complaints:
        assert complaint in str(raised.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def execution_parameters_fn(): return '{\"MaxPayloadInMB\": 7}'", {"MaxPayloadInMB": 7}),
        ("def execution_parameters_fn(): return {'MaxPayloadInMB': 7}", {"MaxPayloadInMB": 7}),
        ("def execution_parameters_fn(): return 7", None),
        ("def execution_parameters_fn(): raise ValueError", None),
        ("", None),
    ],
)
def test_what_a_script_says_of_batch_transform(text: str, told: object) -> None:
    module = ModuleType("inference")
    exec(text, vars(module))  # noqa: S102 (the test's own)
    assert worker.parameters(module) == told


def test_what_an_author_says_reaches_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError('{"error": "unsupported content type text/html"}')
    assert worker.answer(raising(error), Frame(HEAD)) == Frame({"error": str(error), "status": 500})
    assert "the script failed on a request" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "/opt/ml/model/code/labels.txt"),
        ConnectionRefusedError("10.0.0.7"),
        SystemExit(3),
        RuntimeError("inner:\nTraceback (most recent call last):\n  File x"),
    ],
)
def test_what_the_system_says_does_not(error: BaseException) -> None:
    assert worker.answer(raising(error), Frame(HEAD)) == Frame({"error": "", "status": 500})


@pytest.mark.parametrize(("status", "told"), [(400, 400), (415, 415), (503, 503), (200, 500), (None, 500), ("x", 500)])
@pytest.mark.parametrize("name", ["status", "status_code"])
def test_an_exception_may_ask_for_a_status(name: str, status: object, told: int) -> None:
    error = ValueError("because")
    setattr(error, name, status)
    assert worker.answer(raising(error), Frame(HEAD)) == Frame({"error": "because", "status": told})


def test_a_text_of_any_length_fits_into_a_frame() -> None:
    answered = worker.answer(raising(ValueError("x" * 2 * MAX_HEAD_BYTES)), Frame(HEAD))
    packed(answered)
    assert answered.head["error"].startswith("xxx")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no file /opt/ml/model/code/labels.txt here", "no file … here"),
        ("'/tmp/x/'", "'…'"),
        ("see https://example.com/a/b.html", "see https://example.com/a/b.html"),
        ("expected application/json, a/b/c or 1/2", "expected application/json, a/b/c or 1/2"),
        ("", ""),
    ],
)
def test_paths_are_left_out(text: str, shown: str) -> None:
    assert worker.public(ValueError(text)) == shown
