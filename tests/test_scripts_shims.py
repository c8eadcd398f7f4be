"""What scripts import of AWS's toolkits is there, and does as those do."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from serving.codecs import recordio
from serving.scripts import dmatrix, shims, toolkit, worker
from serving.scripts.frames import Frame
from serving.signature import Array
from test_scripts_worker import HEAD

JSON, CSV, NPY, NPZ = "application/json", "text/csv", "application/x-npy", "application/x-npz"

INFERENCE = """
from sagemaker_inference import content_types, decoder, encoder, errors
import sagemaker_inference.errors

def model_fn(model_dir): return 2

def input_fn(body, kind):
    if kind == "refuse": raise errors.GenericInferenceToolkitError(400, "no such input")
    return decoder.decode(body, kind)

def predict_fn(data, model): return data * model

def output_fn(prediction, accept): return encoder.encode(prediction, accept)
"""
CONTAINERS = """
from sagemaker_containers.beta.framework import content_types, encoders, env, modules, transformer, worker

def model_fn(model_dir): return 2

def transform_fn(model, body, kind, accept):
    return worker.Response(encoders.encode(encoders.decode(body, kind) * model, accept), mimetype="text/x-told")
"""


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    """What loading a script does to this process ends with the test."""
    path, arguments, before = list(sys.path), list(sys.argv), set(sys.modules)
    yield
    sys.path[:], sys.argv[:] = path, arguments
    for name in set(sys.modules) - before:
        del sys.modules[name]


def answered(folder: Path, script: str, body: bytes, kind: str, accept: str = JSON) -> Frame:
    (folder / "inference.py").write_text(script)
    handler = worker.load(folder / "inference.py", [str(folder)])
    return worker.answer(handler, Frame({**HEAD, "content_type": kind, "accept": accept}, body))


def test_a_script_for_the_inference_toolkit(tmp_path: Path) -> None:
    assert answered(tmp_path, INFERENCE, b"1,2", CSV) == Frame({"content_type": JSON}, b"[2, 4]")
    assert answered(tmp_path, INFERENCE, b"[1]", JSON, CSV) == Frame({"content_type": CSV}, b"2\n")
    assert answered(tmp_path, INFERENCE, b"", "refuse") == Frame({"error": "no such input", "status": 400})
    refused = answered(tmp_path, INFERENCE, b"", "text/xml")
    assert refused.head["status"] == 415
    assert refused.head["error"] == "Content type text/xml is not supported by this framework."


def test_a_script_for_the_older_toolkit(tmp_path: Path) -> None:
    assert answered(tmp_path, CONTAINERS, b"[1, 2]", JSON) == Frame({"content_type": "text/x-told"}, b"[2, 4]")


# Of a script that also trains.
XGBOOST = """
from sagemaker_containers import entry_point
from sagemaker_xgboost_container import distributed, encoder as xgb_encoders
from sagemaker_xgboost_container.data_utils import get_dmatrix
import helper

def model_fn(model_dir): return helper.FORMAT

def input_fn(body, kind): return xgb_encoders.decode(body, kind)

def predict_fn(data, model): return [data.num_row(), data.num_col(), data.get_data().toarray().tolist()]

def output_fn(prediction, accept):
    return xgb_encoders.json_to_jsonlines({"predictions": prediction})
"""


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"1,2.5", CSV),
        (b"1;2.5", "text/csv; charset=utf-8"),
        (b"0 1:1 2:2.5", "text/libsvm"),
        (b"0 0:1 1:2.5\n", "text/x-libsvm"),
    ],
)
def test_a_script_for_the_xgboost_container(tmp_path: Path, body: bytes, kind: str) -> None:
    (tmp_path / "helper.py").write_text("from sagemaker_inference.content_types import JSON as FORMAT\n")
    assert answered(tmp_path, XGBOOST, body, kind) == Frame({"content_type": JSON}, b"1\n2\n[[1.0, 2.5]]\n")
    assert answered(tmp_path, XGBOOST, body, "text/xml").head["status"] == 415
    with pytest.raises(NotImplementedError, match="this is for training"):
        sys.modules["sagemaker_xgboost_container.data_utils"].get_dmatrix()


def test_what_libsvm_and_records_leave_out_is_absent() -> None:
    matrix = dmatrix.libsvm_to_dmatrix("1 1:3\n0 4:0.5 2:1\n0")
    assert (matrix.num_row(), matrix.num_col(), matrix.num_nonmissing()) == (3, 4, 3)
    record = recordio._record_class()()
    record.features["values"].float32_tensor.values.extend([1.5])
    record.features["values"].float32_tensor.keys.extend([2])
    record.features["values"].float32_tensor.shape.extend([5])
    message = record.SerializeToString()
    body = recordio.FRAME.pack(recordio.MAGIC, len(message)) + message + bytes(-len(message) % 4)
    matrix = dmatrix.recordio_protobuf_to_dmatrix(body)
    assert (matrix.num_row(), matrix.num_col(), matrix.num_nonmissing()) == (1, 5, 1)


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        ("[[1, 2], [3, 4]]", JSON, np.array([[1, 2], [3, 4]])),
        ("1,2,3", CSV, np.array([1, 2, 3])),
        ("1.5,2.5\n3.5,4.5", CSV, np.array([[1.5, 2.5], [3.5, 4.5]])),
        ("1", CSV, np.array(1)),
    ],
)
def test_text_is_read_as_the_toolkit_reads_it(body: str, kind: str, expected: Array) -> None:
    array = toolkit.read_newer(body, kind)
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)


def test_files_are_read_as_the_toolkit_reads_them_but_for_pickles() -> None:
    stream = io.BytesIO()
    np.save(stream, np.eye(2))
    np.testing.assert_array_equal(toolkit.read_newer(stream.getvalue(), NPY), np.eye(2))
    assert toolkit.write_newer(np.eye(2), NPY) == stream.getvalue()
    stream = io.BytesIO()
    sparse.save_npz(stream, sparse.csr_matrix(np.eye(2)))
    np.testing.assert_array_equal(toolkit.read_newer(stream.getvalue(), NPZ).toarray(), np.eye(2))
    stream = io.BytesIO()
    np.save(stream, np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        toolkit.read_newer(stream.getvalue(), NPY)


def test_one_that_is_installed_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sagemaker_inference.py").write_text("WHOSE = 'the author'")
    monkeypatch.syspath_prepend(str(tmp_path))
    shims.offer({shims.INFERENCE})
    import sagemaker_inference  # noqa: PLC0415

    assert sagemaker_inference.WHOSE == "the author"
