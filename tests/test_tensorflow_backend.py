"""TensorFlow models on the real TensorFlow: signatures, answers, refusals, and the numbers that oneDNN gives.

Where TensorFlow is not installed these tests are left out, loudly. What TensorFlow reads once per process is
tried in processes of its own.
"""

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Final

import numpy as np
import pytest

from assets import keras_models, onnx_models
from harness.bodies import NPY, as_json, as_npy, document, npy
from harness.leaving_out import leave_out
from harness.targets import ROOT, Local
from properties import NUMERIC, same
from serving import backends
from serving.backends import Model
from serving.budget import Budget
from serving.errors import ModelFailedError, ModelLoadError, ModelRejectedInputError
from serving.plans import make_plan
from serving.plans.tensorflow import FROZEN_WEIGHTS
from serving.processor import Processor
from serving.settings import Settings
from serving.signature import Array, TensorSpec
from serving.validation import validate
from serving.warmup import warm_up

PLAN: Final = make_plan(
    "tensorflow", Processor("x86_64", "any"), Budget(2, frozenset({0, 1}), 2), Settings(), MappingProxyType({})
)
BATCHES: Final = (1, 2, 3, 5, 8, 13, 32)
TOLERANCE: Final = 1e-5
"""Of the largest value: float32 keeps 1.2e-7, and the longest sum of `conv_net` has 6,144 terms, in another order."""
BF16_TOLERANCE: Final = 2.0**-6
"""bf16 keeps 2^-8 of a value; four layers follow each other."""

pytestmark = pytest.mark.filterwarnings(
    # Keras and TensorFlow call each other's, numpy's and Python's deprecated functions; ours are tested elsewhere.
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::PendingDeprecationWarning",
)


@pytest.fixture(scope="module", autouse=True)
def tf() -> Iterator[ModuleType]:
    """TensorFlow, imported as the server does it: with the plan's environment."""
    if find_spec("tensorflow") is None:
        leave_out("TensorFlow is not installed: its backend was not tested")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in PLAN.environment.items():
            patch.setenv(name, value)
        yield import_module("tensorflow")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`conv_net` as a SavedModel, a .keras and a .h5 file, and what Eigen answers, in one folder."""
    folder = tmp_path_factory.mktemp("net")
    keras_models.saved_conv_net(folder / "saved")
    keras_models.saved_conv_net(folder / "other", seed=7)
    keras_models.kept_conv_net(folder / "net.keras")
    keras_models.kept_conv_net(folder / "net.h5")
    np.save(folder / "pictures.npy", keras_models.pictures(max(BATCHES)))
    code = """
import sys, numpy as np, tensorflow as tf
folder = sys.argv[1]
for name in ("saved", "other"):
    run = tf.saved_model.load(f"{folder}/{name}").signatures["serving_default"]
    answer = run(picture=tf.constant(np.load(f"{folder}/pictures.npy")))
    np.save(f"{folder}/{name}.npy", answer["output_0"].numpy())
"""
    child(code, folder, TF_ENABLE_ONEDNN_OPTS="0")
    return folder


def child(code: str, *arguments: object, **environment: str) -> str:
    """What a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/tests", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(path: Path) -> Model:
    return backends.load("tensorflow", path, PLAN)


def alternatives(model: Model) -> dict[str, Model]:
    return dict(model.alternatives)


def deviation(answer: object, expected: Array) -> float:
    """The largest difference, relative to the largest value."""
    return float(np.max(np.abs(np.asarray(answer) - expected)) / np.max(np.abs(expected)))


# --- what a model is


def test_a_saved_models_signatures_are_all_there_and_the_default_is_the_model(tmp_path: Path) -> None:
    model = loaded(keras_models.half_plus(tmp_path / "1"))
    assert model.signature.inputs == (TensorSpec("x", "float32", ("x.0",)),)
    assert model.signature.outputs == (TensorSpec("y", "float32", ("y.0",)),)
    assert same(model.run({"x": np.array([1, 2], np.float32)})["y"], np.array([2.5, 3], np.float32))
    assert alternatives(model).keys() == {"serving_default", "tripled"}
    assert alternatives(model)["serving_default"] is model
    tripled = alternatives(model)["tripled"]
    assert same(tripled.run({"x": np.array([2], np.float32)})["y"], np.array([6], np.float32))


@pytest.mark.parametrize("element", [*NUMERIC, "string"])
def test_every_element_type_goes_in_and_comes_out_as_it_is(tmp_path: Path, element: str) -> None:
    model = loaded(keras_models.identity(tmp_path / "1", element))
    assert model.signature.inputs == (TensorSpec("x", element, ("x.0", 3)),)
    text = np.array([["a", "", "ä\0"]], dtype=object)
    given = text if element == "string" else np.array([[0, 1, 2]]).astype(element)
    assert same(model.run({"x": given})["y"], given)


def test_text_is_str_and_what_is_not_utf_8_stays_bytes(tmp_path: Path) -> None:
    model = loaded(keras_models.words(tmp_path / "1"))
    outputs = model.run({"text": np.array(["äb", b"raw", ""], dtype=object)})
    assert same(outputs["upper"], np.array(["ÄB", "RAW", ""], dtype=object))
    assert same(outputs["length"], np.array([2, 3, 0], np.int32))
    assert np.asarray(outputs["raw"]).tolist() == [b"\xff\xc3\xa4b", b"\xffraw", b"\xff"]
    with pytest.raises(ModelRejectedInputError):
        model.run({"text": np.array(["\ud800"], dtype=object)})


def test_scalars_have_no_axes(tmp_path: Path, tf: ModuleType) -> None:
    model = loaded(
        keras_models.function(
            tmp_path / "1",
            lambda x, name: {"sum": tf.reduce_sum(x), "name": name},
            tf.TensorSpec([None], tf.float32, "x"),
            tf.TensorSpec([], tf.string, "name"),
        )
    )
    assert model.signature.inputs == (TensorSpec("name", "string", ()), TensorSpec("x", "float32", ("x.0",)))
    outputs = model.run({"x": np.array([1, 2], np.float32), "name": np.array("a", dtype=object)})
    assert same(outputs["sum"], np.array(3, np.float32))
    assert same(outputs["name"], np.array("a", dtype=object))


def test_names_may_be_anything_and_the_only_signature_is_the_default(tmp_path: Path) -> None:
    model = loaded(keras_models.old_names(tmp_path / "1"))
    assert model.signature.input_names == ["x:0"]
    outputs = model.run({"x:0": np.ones((1, 3), np.float32)})
    assert same(outputs["a/b::c"], np.array([[1, 10, 100]], np.float32))
    assert same(outputs["0"], np.ones((1, 3), np.float32))


def test_without_a_default_the_first_signature_by_name_is_the_model(tmp_path: Path) -> None:
    path = keras_models.half_plus(tmp_path / "1")

    def rename(meta: Any) -> None:  # noqa: ANN401 (a MetaGraphDef)
        meta.signature_def["zeroth"].CopyFrom(meta.signature_def["serving_default"])
        del meta.signature_def["serving_default"]

    # The objects hold the signatures' names too, so only the loader of TensorFlow 1 sees the new one.
    model = loaded(keras_models.with_optimizer_of_keras_2(keras_models.edited(path, rename)))
    assert alternatives(model).keys() == {"tripled", "zeroth"}
    assert model is alternatives(model)["tripled"]


def test_what_only_the_loader_of_tensorflow_1_takes_is_served(
    net: Path, tmp_path: Path, tf: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(net / "saved", tmp_path / "1")
    keras_models.with_optimizer_of_keras_2(tmp_path / "1")
    with pytest.raises(AttributeError, match="add_slot"):
        tf.saved_model.load(str(tmp_path / "1"))
    with caplog.at_level("INFO"):
        model = loaded(tmp_path / "1")
    assert "trying TensorFlow 1's loader" in caplog.text
    assert model.signature == loaded(net / "saved").signature
    answer = model.run({"picture": np.load(net / "pictures.npy")})["output_0"]
    assert deviation(answer, np.load(net / "saved.npy")) < TOLERANCE


def test_text_goes_through_that_loader_too(tmp_path: Path) -> None:
    path = keras_models.words(tmp_path / "1")

    def spoil(meta: Any) -> None:  # noqa: ANN401 (a MetaGraphDef)
        meta.object_graph_def.nodes.add().user_object.identifier = "optimizer"
        meta.object_graph_def.nodes[0].children.add(node_id=999, local_name="missing")

    outputs = loaded(keras_models.edited(path, spoil)).run({"text": np.array(["äb", ""], dtype=object)})
    assert same(outputs["upper"], np.array(["ÄB", ""], dtype=object))
    assert same(outputs["length"], np.array([2, 0], np.int32))


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
def test_kerass_files_answer_as_their_saved_model_does(net: Path, name: str) -> None:
    model = loaded(net / name)
    assert model.signature == loaded(net / "saved").signature
    answer = model.run({"picture": np.load(net / "pictures.npy")})["output_0"]
    assert deviation(answer, np.load(net / "saved.npy")) < TOLERANCE


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_keras_models_of_several_named_inputs_and_outputs(tmp_path: Path, ending: str, tf: ModuleType) -> None:
    inputs = {"b": tf.keras.Input((2,), name="b"), "a": tf.keras.Input((2,), name="a", dtype="int32")}
    total = tf.keras.layers.Add()([inputs["b"], tf.keras.layers.Rescaling(2.0)(inputs["a"])])
    path = tmp_path / f"model{ending}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras says that it would rather not write .h5
        tf.keras.Model(inputs, {"total": total, "same": inputs["b"]}).save(path)
    model = loaded(path)
    assert {spec.name: spec.dtype for spec in model.signature.inputs} == {"a": "int32", "b": "float32"}
    outputs = model.run({"a": np.array([[1, 2]], np.int32), "b": np.array([[10, 20]], np.float32)})
    assert same(outputs["total"], np.array([[12, 24]], np.float32))
    assert same(outputs["same"], np.array([[10, 20]], np.float32))


def test_a_saved_model_without_signatures_is_called(tmp_path: Path, tf: ModuleType) -> None:
    module = tf.Module()
    call = tf.function(lambda x, training=False: x + (1.0 if training else 0.0))
    call(tf.ones([2, 3]), training=True)
    call(tf.ones([2, 3]))
    call.get_concrete_function(tf.TensorSpec([None, 3], tf.float32, "x"))
    module.__call__ = call
    tf.saved_model.save(module, str(tmp_path / "1"))
    model = loaded(tmp_path / "1")
    assert model.signature.inputs == (TensorSpec("x", "float32", ("x.0", 3)),)
    assert same(model.run({"x": np.ones((4, 3), np.float32)})["output_0"], np.ones((4, 3), np.float32))


def test_an_output_of_unknown_rank_keeps_requests_apart(tmp_path: Path, tf: ModuleType) -> None:
    def reshaped(x: object) -> dict[str, object]:
        return {"y": tf.reshape(x, tf.cast(tf.reshape(tf.unique(tf.shape(x))[0], [-1]), tf.int32))}

    model = loaded(keras_models.function(tmp_path / "1", reshaped, tf.TensorSpec([None, 3], tf.float32, "x")))
    assert not model.signature.has_batch_axis
    assert same(model.run({"x": np.ones((1, 3), np.float32)})["y"], np.ones((1, 3), np.float32))


# --- what cannot be loaded


def complaint(path: Path) -> str:
    with pytest.raises(ModelLoadError) as raised:
        loaded(path)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_saved_model_with_nothing_to_call_is_told_what_to_do(tmp_path: Path, tf: ModuleType) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "1"))
    assert "has no signature" in complaint(tmp_path / "1")
    assert "signatures=..." in complaint(tmp_path / "1")


def test_a_newer_tensorflow_or_a_custom_operation_is_told(tmp_path: Path) -> None:
    text = complaint(keras_models.with_unknown_operation(keras_models.half_plus(tmp_path / "1")))
    assert "Op type not registered 'FrobnicateV9'" in text
    assert "a newer TensorFlow or a custom operation" in text


def test_a_saved_model_without_its_variables_is_told(tmp_path: Path) -> None:
    shutil.rmtree(keras_models.half_plus(tmp_path / "1") / "variables")
    assert "Failed to find any matching files" in complaint(tmp_path / "1")


@pytest.mark.parametrize("name", ["1/saved_model.pb", "model.keras", "model.h5"])
@pytest.mark.parametrize("content", [b"", b"not a model" * 20])
def test_what_is_no_model_is_told_with_its_path(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / name).write_bytes(content)
    path = tmp_path / name.removesuffix("/saved_model.pb")
    assert f"{path} " in complaint(path)
    assert "Expected: " in complaint(path)


def test_code_in_a_keras_file_is_not_run(tmp_path: Path, tf: ModuleType) -> None:
    model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Lambda(lambda x: x)])
    model.save(tmp_path / "model.keras")
    assert "model.export(path)" in complaint(tmp_path / "model.keras")


def test_types_that_cannot_be_served_are_told(tmp_path: Path) -> None:
    assert "input 'x' is of type bfloat16" in complaint(keras_models.identity(tmp_path / "b", "bfloat16"))
    assert "input 'x' is of type complex64" in complaint(keras_models.identity(tmp_path / "c", "complex64"))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 2)])
def test_an_input_without_a_rank_takes_any_shape(tmp_path: Path, tf: ModuleType, shape: tuple[int, ...]) -> None:
    model = loaded(keras_models.function(tmp_path / "u", lambda x: {"y": x * 2}, tf.TensorSpec(None, tf.float32, "x")))
    assert model.signature.inputs == (TensorSpec("x", "float32", (), any_rank=True),)
    inputs = validate({"x": np.ones(shape)}, model.signature)
    assert same(model.run(inputs)["y"], np.full(shape, 2, np.float32))
    assert not warm_up(model, 4).joins


# --- running


def test_values_on_which_an_operation_cannot_run_are_the_callers_fault(tmp_path: Path) -> None:
    model = loaded(keras_models.table(tmp_path / "1"))
    with pytest.raises(ModelRejectedInputError) as raised:
        model.run({"index": np.array([99])})
    assert "Gather" not in raised.value.message
    with pytest.raises(ModelFailedError):
        model.run({})  # which validation never lets happen
    assert same(model.run({"index": np.array([1])})["row"], np.array([[2, 3]], np.float32))


@pytest.mark.parametrize("name", ["saved", "net.keras"])
def test_no_shape_traces_a_function_again(net: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorflow.python.framework import func_graph  # noqa: PLC0415

    traced: list[object] = []
    make = func_graph.FuncGraph.__init__

    def count(self: object, *arguments: object, **named: object) -> None:
        traced.append(self)
        make(self, *arguments, **named)

    monkeypatch.setattr(func_graph.FuncGraph, "__init__", count)
    model = loaded(net / name)
    assert traced, "loading makes the graphs, so they are seen here"
    traced.clear()
    for rows in BATCHES:
        model.run({"picture": keras_models.pictures(rows)})
    assert not traced


def test_an_answer_is_not_changed_by_the_next_one(net: Path) -> None:
    model = loaded(net / "saved")
    first = np.asarray(model.run({"picture": keras_models.pictures(4, seed=1)})["output_0"])
    kept = first.copy()
    for seed in range(20):
        model.run({"picture": keras_models.pictures(4, seed=seed)})
    assert same(first, kept)
    assert first.flags.writeable


def test_warm_up_finds_that_rows_may_ride_together(net: Path) -> None:
    warm = warm_up(loaded(net / "saved"), 8)
    assert (warm.max_rows, warm.rows) == (8, (1, 2, 4, 8))


# --- the numbers that oneDNN gives


def test_onednn_agrees_with_eigen_at_every_batch_from_four_threads_in_two_models(net: Path) -> None:
    """With TF_ONEDNN_ASSUME_FROZEN_WEIGHTS=1, which this process's environment has."""
    assert os.environ[FROZEN_WEIGHTS] == "1"
    given = np.load(net / "pictures.npy")
    models = {name: (loaded(net / name), np.load(net / f"{name}.npy")) for name in ("saved", "other")}
    assert deviation(models["saved"][1], models["other"][1]) > 0.1, "the two models must not answer alike"

    def worst(turn: int) -> float:
        model, expected = models[("saved", "other")[turn % 2]]
        rows = BATCHES[turn % len(BATCHES)]
        return deviation(model.run({"picture": given[:rows]})["output_0"], expected[:rows])

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(worst, range(1000))) < TOLERANCE
    assert max(map(worst, range(2 * len(BATCHES)))) < TOLERANCE


def test_bf16_deviates_by_no_more_than_bf16(net: Path) -> None:
    code = """
import sys, numpy as np
from pathlib import Path
from serving import backends
folder = Path(sys.argv[1])
model = backends.load("tensorflow", folder / "saved", None)
given, expected = np.load(folder / "pictures.npy"), np.load(folder / "saved.npy")
for rows in (32, 1, 3, 32):
    print(np.abs(model.run({"picture": given[:rows]})["output_0"] - expected[:rows]).max() / np.abs(expected).max())
"""
    mode = {"DNNL_DEFAULT_FPMATH_MODE": "BF16", "ONEDNN_DEFAULT_FPMATH_MODE": "BF16"}
    assert max(map(float, child(code, net, **mode).split())) < BF16_TOLERANCE


def test_weights_that_a_request_brings_are_never_kept(tmp_path: Path) -> None:
    """TF_ONEDNN_ASSUME_FROZEN_WEIGHTS=1 alone answers every request but the first with the first one's weights."""
    path = keras_models.dynamic_filters(tmp_path / "1")
    code = """
import logging, os, sys, numpy as np
from pathlib import Path
from serving import backends
logging.basicConfig(level="WARNING", stream=sys.stdout, format="%(message)s")
model = backends.load("tensorflow", Path(sys.argv[1]), None)
random = np.random.default_rng(0)
for turn in range(3):
    values = {spec.name: random.random([2 if isinstance(n, str) else n for n in spec.shape], dtype=np.float32)
              for spec in model.signature.inputs}
    answer = model.run(values)
    product = values["left"] @ values["right"] + np.arange(8)
    padded = np.pad(values["picture"], ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    convolved = np.einsum("nhwcij,ijco->nhwo", windows, values["kernel"])
    np.testing.assert_allclose(answer["product"], product, rtol=1e-5)
    np.testing.assert_allclose(answer["convolved"], convolved, rtol=1e-4)
"""
    said = child(code, path, **{FROZEN_WEIGHTS: "1"})
    assert f"{FROZEN_WEIGHTS}=0" in said
    assert "Conv2D" in said


def test_such_a_model_is_refused_beside_one_whose_kernels_keep_their_weights(net: Path, tmp_path: Path) -> None:
    loaded(net / "saved")
    assert "Serve it alone" in complaint(keras_models.dynamic_filters(tmp_path / "1"))


@pytest.mark.parametrize(
    ("build", "operations"),
    [
        (keras_models.dynamic_filters, {"Conv2D", "MatMul"}),
        (keras_models.looped_weights, {"MatMul"}),
        (keras_models.saved_conv_net, set()),
        (keras_models.half_plus, set()),
    ],
)
def test_weights_that_change_are_seen_in_the_graph(
    tmp_path: Path, build: Callable[[Path], Path], operations: set[str], tf: ModuleType
) -> None:
    from serving.backends.tensorflow.weights import changing_weights  # noqa: PLC0415 (imports nothing, but lives there)

    function = tf.saved_model.load(str(build(tmp_path / "1"))).signatures["serving_default"]
    feeds = [tensor.op.name for tensor in function.inputs[: len(function.inputs) - len(function.captured_inputs)]]
    found = changing_weights(function.graph.as_graph_def(), feeds)
    assert {name.split()[0] for name in found} == operations


def test_recurrence_and_attention_do_not_count_as_weights_that_change(tmp_path: Path, tf: ModuleType) -> None:
    from serving.backends.tensorflow.weights import changing_weights  # noqa: PLC0415 (as above)

    layers = tf.keras.layers
    sequence = tf.keras.Input((None, 8))
    attended = layers.MultiHeadAttention(2, 4)(sequence, sequence)
    tf.keras.Model(sequence, layers.Dense(2)(layers.LSTM(5)(attended))).export(str(tmp_path / "1"), verbose=False)
    function = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    graph = function.graph.as_graph_def()
    operations = {node.op for body in graph.library.function for node in body.node_def}
    assert operations & {"While", "StatelessWhile"}, "the recurrence is a loop, or this shows nothing"
    assert changing_weights(graph, [function.inputs[0].op.name]) == []


# --- the whole server


def test_a_server_answers_in_every_form(tmp_path: Path) -> None:
    keras_models.rows(tmp_path / "doubler" / "00000003")
    server = Local().start(tmp_path, {"SERVING_FPMATH": "strict"})
    try:
        server.until_ready()
        given = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
        doubled = (2 * given).tolist()
        assert document(server.post(as_json({"instances": given.tolist()}))) == {"predictions": doubled}
        assert document(server.post(as_json({"inputs": given.tolist()}))) == {"outputs": doubled}
        assert document(server.post(as_json({"inputs": {"x": given.tolist()}}))) == {"outputs": doubled}
        assert same(npy(server.post(as_npy(given), NPY, NPY)), 2 * given)
        assert "tensorflow: lanes=1" in server.logs()
    finally:
        server.remove()


def test_an_onnx_model_imports_no_other_framework(tmp_path: Path) -> None:
    onnx_models.identity(tmp_path / "model.onnx")
    code = """
import json, sys
from pathlib import Path
from serving.settings import Settings
from serving.preparation import apply_environment, prepare
from serving import loader
OTHERS = {"tensorflow", "keras", "sklearn", "scipy", "pandas", "joblib", "skops", "xgboost", "lightgbm"}
settings = Settings(model_dir=Path(sys.argv[1]))
loader.load(prepare(settings, {}), settings, lambda state: None)
print(json.dumps([name for name in sys.modules if name.split(".")[0] in OTHERS]))
"""
    assert json.loads(child(code, tmp_path)) == []
