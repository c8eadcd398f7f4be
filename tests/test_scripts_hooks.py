"""The contract of AWS's PyTorch, scikit-learn and XGBoost containers, function by function."""

import io
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from serving.codecs import recordio
from serving.errors import BadRequestError
from serving.scripts import defaults, hooks, worker
from serving.scripts.context import Context
from serving.scripts.contract import Answer, Call, Handler, ScriptError

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
X, Y = load_iris(return_X_y=True)


def call(
    body: bytes = b"", content_type: str = JSON, accept: str = "", attributes: str | None = None, **headers: str
) -> Call:
    return Call(body, content_type, accept, attributes, None, None, None, "http://127.0.0.1:9/x", 60.0, headers)


@pytest.fixture(autouse=True)
def nothing_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a worker whose script has imported no framework; here other tests have."""
    monkeypatch.setattr(defaults, "sys", SimpleNamespace(modules={}))


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
    def output(prediction: str, _accept: str, context: Context) -> str:
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


def test_the_context_tells_all_headers_and_takes_the_answers() -> None:
    def output(prediction: str, _accept: str, context: Context) -> str:
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", "trace=7")
        context.set_response_header(0, "Content-Length", "1")
        context.set_response_status(422, "odd")
        (processor,) = context.request_processor
        assert context.get_response_status(0) == (422, "odd")
        assert processor.get_request_property("X-Session") == context.get_all_request_header(0)["x-SESSION"] == "s1"
        assert context.get_request_id(0)
        return prediction

    steps = {"input_fn": lambda body, _kind: body, "predict_fn": lambda data, _model: data}
    handler = handler_of(output_fn=output, **steps)
    given = handler(call(b"x", **{"x-session": "s1"}))
    assert given == Answer(b"x", JSON, 422, {"X-Amzn-SageMaker-Custom-Attributes": "trace=7"})
    plain = handler_of(output_fn=lambda prediction, _accept: prediction, **steps)
    assert plain(call(b"x")) == Answer(b"x", JSON)


@pytest.mark.parametrize(
    ("code", "headers"), [(99, {}), ("200", {}), (200, {"a b": "c"}), (200, {"a": "b\r\nc: d"}), (200, {"a": "ä"})]
)
def test_what_no_answer_can_have_is_the_scripts_fault(code: Any, headers: dict[str, str]) -> None:  # noqa: ANN401
    def transform(_model: str, body: bytes, _kind: str, _accept: str, context: Context) -> bytes:
        context.set_all_response_status(code)
        for name, value in headers.items():
            context.request_processor[0].add_response_property(name, value)
        return body

    status, text = refused(handler_of(transform_fn=transform), call(b"x"))
    assert status == 500
    assert "transform_fn: expected a" in text


class Response:
    """As werkzeug's, and those of AWS's older toolkit."""

    mimetype = "text/x-response"
    status_code = 201
    headers = {"X-A": "b", "Content-Type": "text/x-response"}  # noqa: RUF012 (as theirs)

    def get_data(self) -> bytes:
        return b"whole"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ä", Answer("ä".encode(), JSON)),
        (bytearray(b"ab"), Answer(b"ab", JSON)),
        (("a", "text/x"), Answer(b"a", "text/x")),
        (Response(), Answer(b"whole", "text/x-response", 201, {"X-A": "b"})),
        ({"b": 1, "a": [2]}, Answer(b'{\n  "b": 1,\n  "a": [\n    2\n  ]\n}', JSON)),
        ([1], Answer(b"[\n  1\n]", JSON)),
        (7, Answer(b"7", JSON)),
    ],
)
def test_what_output_fn_may_return(given: object, expected: Answer) -> None:
    steps = {"input_fn": lambda *_: None, "predict_fn": lambda *_: None}
    assert handler_of(output_fn=lambda *_: given, **steps)(call()) == expected


def test_scikit_learns_container_answers_by_flask() -> None:
    def answered(given: object) -> Answer:
        steps = {"input_fn": lambda *_: None, "predict_fn": lambda *_: None}
        return handler_of(model_fn=lambda _dir: ESTIMATOR, output_fn=lambda *_: given, **steps)(call())

    assert answered({"b": 1, "a": [2]}) == Answer(b'{"a":[2],"b":1}\n', JSON)
    assert answered(("a", "text/x")) == Answer(b"a", "text/x; charset=utf-8")
    with pytest.raises(ScriptError, match="got list"):
        answered([1])


@pytest.mark.parametrize("given", [None, {1}, np.zeros(2), ("a", "b", "c", {2}), ("a", 7), ("a", "text/x\r\ny: z")])
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


def test_a_body_with_parameters_in_its_type_is_bytes_as_there() -> None:
    handler = handler_of(transform_fn=lambda _model, body, _kind, _accept: type(body).__name__)
    kinds = {CSV: b"str", "text/csv; charset=utf-8": b"bytes", "application/json": b"str", "text/plain": b"bytes"}
    assert {kind: handler(call(b"x", kind)).body for kind in kinds} == kinds


def test_scikit_learns_csv_quotes_what_needs_it() -> None:
    labels = LogisticRegression(max_iter=500).fit(X, np.array(["a,b", 'c"d', "e"])[Y])
    handler = handler_of(model_fn=lambda _dir: labels)
    body = json.dumps(X[[0, 60, 120]].tolist()).encode()
    assert handler(call(body, accept=CSV)).body == b'"a,b"\n"c""d"\ne\n'
    named = LogisticRegression(max_iter=500).fit(X, np.array(["a", "b", "c"], dtype=object)[Y])
    answer = handler_of(model_fn=lambda _dir: named)(call(body, accept=NPY))
    assert np.load(io.BytesIO(answer.body)).tolist() == ["a", "b", "c"]


class Doubling:
    """A model of the script's own."""

    def predict(self, data: Any) -> Any:  # noqa: ANN401 (an array)
        return data * 2


@pytest.mark.parametrize(
    ("body", "kind", "accept", "expected"),
    [
        (b"[1, 2]", JSON, "", b"[2, 4]"),
        (b"[16777217]", JSON, "", b"[33554434]"),  # float32 has no such number
        (b"0.1,2.0", CSV, "", b"[0.2, 4.0]"),
        (b"1,2\n3,4", CSV, CSV, b"2,4\n6,8\n"),
        (b"1\n", CSV, "", b"2"),
    ],
)
def test_the_defaults_for_other_models_keep_the_numbers(body: bytes, kind: str, accept: str, expected: bytes) -> None:
    assert handler_of(model_fn=lambda _dir: Doubling())(call(body, kind, accept)).body == expected


def test_a_sparse_matrix_is_read_for_other_models() -> None:
    stream = io.BytesIO()
    sparse.save_npz(stream, sparse.csr_matrix(np.eye(2)))
    handler = handler_of(model_fn=lambda _dir: Doubling(), output_fn=lambda made, _: str(made.sum()))
    assert handler(call(stream.getvalue(), "application/x-npz")).body == b"4.0"


def test_what_was_imported_tells_the_container_of_a_model_of_the_scripts_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "sys", SimpleNamespace(modules={"sklearn": None}))
    handler = handler_of(model_fn=lambda _dir: {"a": 1}, predict_fn=lambda data, _model: str(data.dtype))
    assert handler(call(b"[1]")).body == b'"float32"'


def test_a_model_without_predict_needs_predict_fn() -> None:
    status, text = refused(handler_of(model_fn=lambda _dir: {"a": 1}), call(b"[1]"))
    assert status == 500
    assert text.startswith("It defines no predict_fn, and its model, a dict, has no method predict")


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
    assert handler_of(model_fn=lambda _dir: ESTIMATOR)(call(b"[[1,2,3,4]]")).content_type == "text/csv; charset=utf-8"


def test_what_no_format_holds_is_the_scripts_fault() -> None:
    handler = handler_of(input_fn=lambda *_: None, predict_fn=lambda *_: {1, 2})
    assert refused(handler, call()) == (500, "a prediction of type set cannot be written as application/json")


@pytest.fixture(scope="module")
def booster() -> xgb.Booster:
    return xgb.train({"objective": "multi:softprob", "num_class": 3}, xgb.DMatrix(X, Y), 3)


def lines(delimiter: str) -> bytes:
    return "\n".join(delimiter.join(map(str, row)) for row in X[:3]).encode()


def libsvm(first: int) -> bytes:
    return "\n".join(" ".join(["0", *(f"{i + first}:{v}" for i, v in enumerate(row))]) for row in X[:3]).encode()


def records() -> bytes:
    made = b""
    for row in X[:3]:
        record = recordio._record_class()()
        record.features["values"].float32_tensor.values.extend(row)
        message = record.SerializeToString()
        made += recordio.FRAME.pack(recordio.MAGIC, len(message)) + message + bytes(-len(message) % 4)
    return made


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (lines(","), CSV),
        (lines(";"), CSV),
        (libsvm(0), "text/libsvm"),
        (libsvm(1), "text/x-libsvm"),
        (records(), "application/x-recordio-protobuf"),
        (json.dumps(X[:3].tolist()).encode(), JSON),
        (npy(X[:3]), NPY),
    ],
)
def test_the_defaults_are_xgboosts_for_a_booster(booster: xgb.Booster, body: bytes, kind: str) -> None:
    handler = handler_of(model_fn=lambda _dir: booster)
    expected = booster.predict(xgb.DMatrix(X[:3]))
    np.testing.assert_array_equal(json.loads(handler(call(body, kind)).body), expected)
    assert handler(call(body, kind, CSV)).body.count(b"\n") == 3


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"a,b", CSV, 400),
        (b"1 x", "text/libsvm", 400),
        (b"1 9:1 0:1", "text/libsvm", 400),
        (b"no", "application/x-recordio-protobuf", 400),
        (b'["a"]', JSON, 400),
        (b"x", "image/png", 415),
    ],
)
def test_what_xgboosts_defaults_refuse(booster: xgb.Booster, body: bytes, kind: str, status: int) -> None:
    handler = handler_of(model_fn=lambda _dir: booster)
    with pytest.raises((ScriptError, BadRequestError)) as raised:
        handler(call(body, kind))
    assert worker.status_of(raised.value) == status


def test_a_script_without_model_fn_needs_a_file_that_can_be_loaded_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path))
    (tmp_path / "model.joblib").touch()
    module = ModuleType("inference")
    vars(module).update(predict_fn=print)
    with pytest.raises(ScriptError, match=r"It defines no model_fn.*found none\. Expected: model_fn"):
        hooks.handler(module)
