"""The contract of AWS's PyTorch, scikit-learn and XGBoost containers, function by function."""

import io
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from serving.scripts import hooks
from serving.scripts.contract import Answer, Call, Handler, ScriptError

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
X, Y = load_iris(return_X_y=True)


def call(body: bytes = b"", content_type: str = JSON, accept: str = "", attributes: str | None = None) -> Call:
    return Call(body, content_type, accept, attributes, None, None, None, "http://127.0.0.1:9/x", 60.0)


def handler_of(**functions: object) -> Handler:
    module = ModuleType("inference")
    vars(module).update({"model_fn": lambda _dir: "model", **functions})
    found = hooks.handler(module)
    assert found is not None
    return found


def refused(handler: Handler, asked: Call) -> tuple[int, str]:
    with pytest.raises(ScriptError) as raised:
        handler(asked)
    return raised.value.status, str(raised.value)


def test_a_script_without_any_of_the_functions_is_another_contracts() -> None:
    assert hooks.handler(ModuleType("inference")) is None


def test_every_step_gets_what_it_gets_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path))
    seen: list[tuple[object, ...]] = []

    def step(*arguments: object) -> tuple[object, ...]:
        seen.append(arguments)
        return arguments

    handler = handler_of(
        pre_model_fn=lambda model_dir: seen.append(("before", model_dir)),
        model_fn=lambda model_dir: {"from": model_dir},
        model_warmup_fn=lambda model_dir, model: seen.append(("after", model_dir, model)),
        input_fn=lambda body, kind: step(body, kind)[0],
        predict_fn=lambda data, model: step(data, model)[0],
        output_fn=lambda prediction, accept: step(prediction, accept)[0],
    )
    model = {"from": str(tmp_path)}
    assert seen == [("before", str(tmp_path)), ("after", str(tmp_path), model)]
    del seen[:]
    assert handler(call(b"1,2", CSV, "text/plain")) == Answer(b"1,2", "text/plain")
    assert seen == [("1,2", CSV), ("1,2", model), ("1,2", "text/plain")]
    assert handler(call(b"\xff", "image/png", "*/*")) == Answer(b"\xff", JSON)
    assert seen[3:] == [(b"\xff", "image/png"), (b"\xff", model), (b"\xff", JSON)]


def test_a_step_with_one_argument_more_gets_the_context() -> None:
    def output(prediction: str, _accept: str, context: hooks.Context) -> str:
        context.set_response_content_type(0, "text/x-told")
        attributes = context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")
        same = context.request_processor[0].get_request_properties() == context.get_all_request_header(0)
        return f"{prediction} {attributes} {same} {context.system_properties['gpu_id']}"

    handler = handler_of(input_fn=lambda body, _kind: body, predict_fn=lambda data, _model: data, output_fn=output)
    assert handler(call(b"x", attributes="a=b")) == Answer(b"x a=b True None", "text/x-told")
    assert handler(call(b"x")).body == b"x None True None"


def test_transform_fn_stands_for_all_three() -> None:
    handler = handler_of(transform_fn=lambda model, body, kind, accept: (f"{model} {body} {kind} {accept}", "text/x"))
    assert handler(call(b"x", CSV, "text/plain")) == Answer(b"model x text/csv text/plain", "text/x")
    with pytest.raises(ScriptError, match="It defines transform_fn and input_fn, output_fn"):
        handler_of(transform_fn=print, input_fn=print, output_fn=print)


class Response:
    """As werkzeug's, and those of AWS's older toolkit."""

    mimetype = "text/x-response"

    def get_data(self) -> bytes:
        return b"whole"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ä", Answer("ä".encode(), JSON)),
        (bytearray(b"ab"), Answer(b"ab", JSON)),
        (("a", "text/x"), Answer(b"a", "text/x")),
        (Response(), Answer(b"whole", "text/x-response")),
    ],
)
def test_what_output_fn_may_return(given: object, expected: Answer) -> None:
    steps = {"input_fn": lambda *_: None, "predict_fn": lambda *_: None}
    assert handler_of(output_fn=lambda *_: given, **steps)(call()) == expected


@pytest.mark.parametrize("given", [None, 7, np.zeros(2), ("a", "b", "c"), ("a", 7), ("a", "text/x\r\ny: z")])
def test_what_output_fn_may_not_return(given: object) -> None:
    steps = {"input_fn": lambda *_: None, "predict_fn": lambda *_: None}
    status, text = refused(handler_of(output_fn=lambda *_: given, **steps), call())
    assert status == 500
    assert "output_fn: expected a" in text


def npy(array: Any) -> bytes:  # noqa: ANN401 (any array)
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


ESTIMATOR = LogisticRegression(max_iter=500).fit(X, Y)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (json.dumps(X[:3].tolist()).encode(), JSON),
        (json.dumps(X[:3].tolist()).encode(), "application/json; charset=utf-8"),
        ("\n".join(",".join(map(str, row)) for row in X[:3]).encode(), CSV),
        (npy(X[:3]), NPY),
    ],
)
def test_the_defaults_are_scikit_learns(body: bytes, content_type: str) -> None:
    handler = handler_of(model_fn=lambda _dir: ESTIMATOR)
    expected = ESTIMATOR.predict(X[:3])
    assert handler(call(body, content_type)) == Answer(json.dumps(expected.tolist()).encode(), JSON)
    assert handler(call(body, content_type, CSV)).body == b"".join(b"%d\n" % label for label in expected)
    answer = handler(call(body, content_type, "text/html, application/x-npy;q=0.5"))
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.body)), expected)


def test_a_row_alone_is_one() -> None:
    handler = handler_of(model_fn=lambda _dir: ESTIMATOR)
    for body, kind in ((b"5.1,3.5,1.4,0.2", CSV), (b"[5.1,3.5,1.4,0.2]", JSON)):
        assert handler(call(body, kind)).body == b"[0]"


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (call(b"[1", JSON), (400, "expected a body of application/json")),
        (call(b'["a"]', JSON), (400, "expected numbers")),
        (call(b"[[1],[1,2]]", JSON), (400, "expected a body of application/json")),
        (call(b"a,b", CSV), (400, "expected numbers")),
        (call(b"\xff", CSV), (400, "expected a body of UTF-8")),
        (call(b"no", NPY), (400, "expected a body of application/x-npy")),
        (call(npy(np.array([{}], dtype=object)), NPY), (400, "expected a body of application/x-npy")),
        (call(b"x", "image/png"), (415, "Content-Type: expected one of")),
        (call(b"[[1,2,3,4]]", JSON, "text/html"), (406, "Accept: expected one of")),
    ],
)
def test_what_the_defaults_refuse(asked: Call, wanted: tuple[int, str]) -> None:
    status, text = refused(handler_of(model_fn=lambda _dir: ESTIMATOR), asked)
    assert status == wanted[0]
    assert text.startswith(wanted[1])


def test_the_type_of_answers_may_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", CSV)
    assert handler_of(model_fn=lambda _dir: ESTIMATOR)(call(b"[[1,2,3,4]]")).content_type == CSV


def test_what_no_format_holds_is_the_scripts_fault() -> None:
    handler = handler_of(input_fn=lambda *_: None, predict_fn=lambda *_: {1, 2})
    assert refused(handler, call()) == (500, "a prediction of type set cannot be written as application/json")


def test_the_defaults_are_xgboosts_for_a_booster() -> None:
    booster = xgb.train({"objective": "multi:softprob", "num_class": 3}, xgb.DMatrix(X, Y), 3)
    handler = handler_of(model_fn=lambda _dir: booster)
    body = "\n".join(",".join(map(str, row)) for row in X[:3]).encode()
    expected = booster.predict(xgb.DMatrix(X[:3]))
    np.testing.assert_allclose(json.loads(handler(call(body, CSV)).body), expected, rtol=1e-6)
    assert refused(handler, call(b"1 1:2", "text/libsvm"))[0] == 415


def test_a_script_without_model_fn_needs_a_file_that_can_be_loaded_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path))
    (tmp_path / "model.joblib").touch()
    module = ModuleType("inference")
    vars(module).update(predict_fn=print)
    with pytest.raises(ScriptError, match=r"It defines no model_fn.*found none\. Expected: model_fn"):
        hooks.handler(module)
