"""Every format in, every format out, and the choice between them."""

import json

import numpy as np
import pytest

from assets import onnx_models
from blackbox.conftest import Folder, Shared
from harness.bodies import CSV, JSON, JSONLINES, NPY, NPZ, as_json, as_npy, as_npz, document, npy, npz, refusal
from harness.servers import Server

pytestmark = pytest.mark.any_graviton

ROWS = [[1.5, 2.25], [3.0, -4.0]]


@pytest.mark.parametrize(
    ("request_document", "answer"),
    [
        (ROWS, {"predictions": ROWS}),
        ({"instances": ROWS}, {"predictions": ROWS}),
        ({"instances": [{"x": row} for row in ROWS]}, {"predictions": ROWS}),
        ({"inputs": ROWS}, {"outputs": ROWS}),
        ({"inputs": {"x": ROWS}}, {"outputs": ROWS}),
        ({"signature_name": "serving_default", "instances": ROWS}, {"predictions": ROWS}),
        ([1.5, 2.25], {"predictions": [[1.5, 2.25]]}),
        ({"x": [1.5, 2.25]}, {"predictions": [[1.5, 2.25]]}),
    ],
)
def test_json_forms_of_one_input(echo: Server, request_document: object, answer: object) -> None:
    assert document(echo.post(as_json(request_document))) == answer


def test_json_forms_of_several_inputs_and_outputs(two: Server) -> None:
    rows: list[dict[str, list[float]]] = [{"a": [1, 2, 3], "b": [4, 5]}, {"a": [0.5, 0, 0], "b": [-1, 1]}]
    predictions = [{"sum": 15.0, "doubled": [8, 10]}, {"sum": 0.5, "doubled": [-2, 2]}]
    assert document(two.post(as_json({"instances": rows}))) == {"predictions": predictions}
    assert document(two.post(as_json(rows))) == {"predictions": predictions}
    columns = {"a": [row["a"] for row in rows], "b": [row["b"] for row in rows]}
    outputs = {"sum": [15.0, 0.5], "doubled": [[8, 10], [-2, 2]]}
    assert document(two.post(as_json({"inputs": columns}))) == {"outputs": outputs}


def test_jsonlines_are_rows_in_and_out(two: Server) -> None:
    lines = [{"a": [1, 2, 3], "b": [4, 5]}, {"a": [0.5, 0, 0], "b": [-1, 1]}]
    answer = two.post(b"\n".join(as_json(line) for line in lines) + b"\n", JSONLINES, JSONLINES)
    assert answer.headers["content-type"] == JSONLINES
    assert [json.loads(line) for line in answer.text.splitlines()] == [
        {"sum": 15.0, "doubled": [8, 10]},
        {"sum": 0.5, "doubled": [-2, 2]},
    ]


def test_csv_is_rows_in_and_out(echo: Server) -> None:
    answer = echo.post(b"1.5,2.25\r\n3,-4\r\n", CSV, CSV)
    assert answer.headers["content-type"].startswith(CSV)
    assert answer.text == "1.5,2.25\n3.0,-4.0\n"


def test_csv_columns_are_dealt_to_several_inputs(two: Server) -> None:
    answer = document(two.post(b"1,2,3,4,5\n0.5,0,0,-1,1\n", CSV))
    assert answer == {"predictions": [{"sum": 15.0, "doubled": [8, 10]}, {"sum": 0.5, "doubled": [-2, 2]}]}


def test_quoted_text_in_csv_survives(shared: Shared, model_folder: Folder) -> None:
    server = shared(model_folder(onnx_models.identity, element="string"))
    body = '"a,b","say ""hi""",ü\n"line\nbreak",,z\n'
    assert document(server.post(body.encode(), CSV)) == {
        "predictions": [["a,b", 'say "hi"', "ü"], ["line\nbreak", "", "z"]]
    }
    assert server.post(body.encode(), CSV, CSV).text == body


def test_npy_in_and_out_keeps_dtype_and_values(echo: Server) -> None:
    given = np.random.default_rng(1).standard_normal((5, 7)).astype(np.float32)
    answer = npy(echo.post(as_npy(given), NPY, NPY))
    assert answer.dtype == np.float32
    np.testing.assert_array_equal(answer, given)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_npy_and_any_order_is_read(echo: Server, version: tuple[int, int]) -> None:
    given = np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3))
    np.testing.assert_array_equal(npy(echo.post(as_npy(given, version), NPY, NPY)), given)


def test_npz_names_several_inputs_and_outputs(two: Server) -> None:
    a, b = np.array([[1, 2, 3]], np.float32), np.array([[4, 5]], np.int64)
    answer = npz(two.post(as_npz(a=a, b=b), NPZ, NPZ))
    assert {name: (value.dtype.name, value.tolist()) for name, value in answer.items()} == {
        "sum": ("float32", [15.0]),
        "doubled": ("int64", [[8, 10]]),
    }


@pytest.mark.parametrize("accept", [NPY, CSV])
def test_one_output_formats_are_406_for_several_outputs(two: Server, accept: str) -> None:
    answer = two.post(as_json({"a": [1, 2, 3], "b": [4, 5]}), accept=accept)
    assert refusal(answer) == (406, "not_acceptable")
    assert (NPZ if accept == NPY else JSON) in answer.json()["error"]


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("Text/CSV; charset=utf-8", CSV),
        ("application/x-npy;q=0.2, text/csv;q=0.8", CSV),
        ("image/png, application/x-npz", NPZ),
        ("image/png, */*;q=0.1", JSON),
        ("application/json;q=0, */*", JSONLINES),
        ("application/*, text/csv;q=0.9", JSON),
    ],
)
def test_accept_is_negotiated(echo: Server, accept: str, given: str) -> None:
    answer = echo.post(b"[[1.0]]", accept=accept)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, given)


def test_an_impossible_accept_is_406(echo: Server) -> None:
    assert refusal(echo.post(b"[[1.0]]", accept="image/png")) == (406, "not_acceptable")


def test_the_default_accept_can_be_set(shared: Shared, model_folder: Folder) -> None:
    folder = model_folder(onnx_models.identity, columns="L")
    server = shared(folder, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=CSV)
    assert server.post(b"[[1.0]]").text == "1.0\n"
    assert server.post(b"[[1.0]]", accept="*/*").text == "1.0\n"
    assert document(server.post(b"[[1.0]]", accept=JSON)) == {"predictions": [[1.0]]}


@pytest.mark.parametrize(
    "content_type", ["", "APPLICATION/JSON", 'application/json; charset="UTF-8"', "application/json ;x=y"]
)
def test_content_type_is_read_tolerantly(echo: Server, content_type: str) -> None:
    assert document(echo.post(b"[[1.0]]", content_type)) == {"predictions": [[1.0]]}


def test_nan_and_infinity_go_both_ways_in_json(echo: Server) -> None:
    answer = echo.post(b"[[NaN, Infinity, -Infinity, 0.1]]")
    assert answer.text == '{"predictions":[[NaN,Infinity,-Infinity,0.1]]}'
    special = np.array([[np.nan, np.inf, -np.inf, 0.5]], np.float32)
    assert echo.post(as_npy(special), NPY).text == '{"outputs":[[NaN,Infinity,-Infinity,0.5]]}'
    np.testing.assert_array_equal(npy(echo.post(b"nan,inf,-Infinity,0.5\n", CSV, NPY)), special)
