"""Estimators of the real scikit-learn: how they are loaded, what they take, and that their answers are their own."""

import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import sklearn.base
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, PowerTransformer

from assets import sklearn_models
from assets.sklearn_models import saved
from serving import backends
from serving.backends import Model, notes_of
from serving.budget import Budget
from serving.errors import ModelFailedError, ModelLoadError, ModelRejectedInputError
from serving.plans import Plan, make_plan
from serving.processor import Processor
from serving.settings import Settings
from serving.signature import TensorSpec
from serving.warmup import warm_up

ANY = Processor("x86_64", "any")
# skops trusts no memory that a file fills by itself, which is what a tree is.
TREE = "sklearn.tree._tree.Tree"


def planned(**settings: object) -> Plan:
    return make_plan("scikit-learn", ANY, Budget(2, frozenset({0, 1}), 2), Settings(**settings), {})  # type: ignore[arg-type]


def loaded(path: Path, **settings: object) -> Model:
    return backends.load("scikit-learn", path, planned(**settings))


@pytest.fixture(params=["model.joblib", "model.pkl", "model.skops"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return tmp_path / str(request.param)


def double(x: Any) -> Any:  # noqa: ANN401 (what a user's own function takes)
    return 2 * x


@pytest.mark.parametrize(
    "build",
    [
        sklearn_models.digits,
        sklearn_models.wine,
        sklearn_models.named_iris,
        sklearn_models.margins,
        sklearn_models.clusters,
    ],
)
def test_every_method_answers_as_it_does_in_process(path: Path, build: Callable[[], tuple[Any, Any]]) -> None:
    estimator, x = build()
    model = loaded(saved(estimator, path), skops_trusted=(TREE,))
    assert model.signature.inputs == (TensorSpec("X", "float64", ("rows", x.shape[1])),)
    assert model.signature.name == "predict"
    assert model.is_steady
    names = list(getattr(estimator, "feature_names_in_", ()))
    given = pd.DataFrame(x, columns=names) if names else x
    for name, method in model.alternatives.items():
        expected = getattr(estimator, name)(given)
        answer = method.run({"X": x})[name]
        assert isinstance(answer, np.ndarray)
        assert answer.shape == expected.shape
        (spec,) = method.signature.outputs
        assert (spec.name, spec.shape) == (name, ("rows", *expected.shape[1:]))
        assert spec.numpy_dtype == answer.dtype
        np.testing.assert_array_equal(answer, expected)
        assert warm_up(method, 4).joins


def test_the_methods_are_signatures_and_the_first_is_chosen_by_the_setting(tmp_path: Path) -> None:
    estimator, x = sklearn_models.digits()
    file = saved(estimator, tmp_path / "model.joblib")
    model = loaded(file, sklearn_method="predict_proba")
    assert list(model.alternatives) == ["predict_proba", "predict", "decision_function"]
    assert model is model.alternatives["predict_proba"]
    np.testing.assert_array_equal(model.run({"X": x[:5]})["predict_proba"], estimator.predict_proba(x[:5]))
    with pytest.raises(
        ModelLoadError, match=r"SERVING_SKLEARN_METHOD is 'transform'.*Expected one of predict, predict_p"
    ):
        loaded(file, sklearn_method="transform")


def test_text_and_numbers_side_by_side_are_an_input_for_each_column(path: Path) -> None:
    estimator, people = sklearn_models.people()
    model = loaded(saved(estimator, path), skops_trusted=("numpy.dtype",))
    assert model.signature.inputs == (
        TensorSpec("age", "float64", ("rows",)),
        TensorSpec("city", "string", ("rows",)),
        TensorSpec("children", "float64", ("rows",)),
    )
    inputs = {
        "age": people["age"].to_numpy(),
        "city": people["city"].to_numpy(dtype=object),
        "children": people["children"].to_numpy(np.float64),
    }
    proba = model.alternatives["predict_proba"].run(inputs)["predict_proba"]
    np.testing.assert_array_equal(proba, estimator.predict_proba(people))
    with pytest.raises(ModelRejectedInputError):
        model.run(inputs | {"city": np.full(len(people), "Atlantis", dtype=object)})
    in_bytes = np.array([name.encode() for name in people["city"]], dtype=object)
    assert (model.run(inputs | {"city": in_bytes})["predict"] == estimator.predict(people)).all()
    with pytest.raises(ModelRejectedInputError):
        model.run(inputs | {"city": np.full(len(people), b"\xff", dtype=object)})


def test_texts_are_one_input_of_strings(path: Path) -> None:
    estimator, texts = sklearn_models.texts()
    model = loaded(saved(estimator, path))
    assert model.signature.inputs == (TensorSpec("X", "string", ("rows",)),)
    assert not model.is_steady
    answer = model.run({"X": np.array(texts, dtype=object)})["predict"]
    np.testing.assert_array_equal(answer, estimator.predict(texts))


def test_text_without_names_is_a_column_of_a_number(tmp_path: Path) -> None:
    pairs = np.array([["a", "x"], ["b", "y"]], dtype=object)
    encoder = OneHotEncoder(handle_unknown="ignore").fit(pairs)
    model = loaded(saved(encoder, tmp_path / "model.skops"))
    assert [(spec.name, spec.dtype) for spec in model.signature.inputs] == [("x0", "string"), ("x1", "string")]
    answer = model.run({"x0": pairs[:, 0], "x1": pairs[:, 1]})["transform"]
    np.testing.assert_array_equal(answer, encoder.transform(pairs).toarray())


def test_several_arrays_are_several_outputs(tmp_path: Path) -> None:
    estimator, x = sklearn_models.two_answers()
    model = loaded(saved(estimator, tmp_path / "model.joblib")).alternatives["predict_proba"]
    outputs = model.run({"X": x})
    for number, expected in enumerate(estimator.predict_proba(x)):
        np.testing.assert_array_equal(outputs[f"predict_proba_{number}"], expected)
    assert [spec.shape for spec in model.signature.outputs] == [("rows", 3), ("rows", 2)]


def test_what_refuses_zero_is_tried_on_other_numbers(tmp_path: Path) -> None:
    x = np.arange(1.0, 13).reshape(6, 2)
    estimator = make_pipeline(PowerTransformer(method="box-cox"), LinearRegression()).fit(x, x[:, 0])
    model = loaded(saved(estimator, tmp_path / "model.joblib"))
    np.testing.assert_array_equal(model.run({"X": x})["predict"], estimator.predict(x))
    with pytest.raises(ModelRejectedInputError):
        model.run({"X": -x})


def test_values_that_it_refuses_are_the_callers_fault(tmp_path: Path) -> None:
    estimator, x = sklearn_models.digits()
    model = loaded(saved(estimator, tmp_path / "model.joblib"))
    with pytest.raises(ModelRejectedInputError) as raised:
        model.run({"X": np.full_like(x[:1], np.nan)})
    assert "NaN" not in raised.value.message
    with pytest.raises(ModelFailedError):
        model.run({})  # which validation never lets happen


@pytest.mark.parametrize("compress", [("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_compressed_pickles_are_read(tmp_path: Path, compress: tuple[str, int]) -> None:
    estimator, x = sklearn_models.margins()
    joblib.dump(estimator, tmp_path / "model.joblib", compress=compress)
    answer = loaded(tmp_path / "model.joblib").run({"X": x})["predict"]
    np.testing.assert_array_equal(answer, estimator.predict(x))


def test_another_version_is_one_line_in_the_log_and_a_note(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    estimator, _ = sklearn_models.digits()
    with monkeypatch.context() as patched:
        patched.setattr(sklearn.base, "__version__", "1.2.2")
        saved(estimator, path)
    with caplog.at_level(logging.WARNING):
        model = loaded(path)
    (note,) = notes_of(model)
    assert note.startswith("made by scikit-learn 1.2.2 (")
    assert {"Pipeline", "StandardScaler", "LogisticRegression"} <= set(
        note.partition("(")[2].partition(")")[0].split(", ")
    )
    assert f"run by {sklearn.__version__}" in note
    assert [record.getMessage() for record in caplog.records if "made by" in record.getMessage()] == [note]


def test_the_same_version_has_no_notes(path: Path) -> None:
    assert notes_of(loaded(saved(sklearn_models.margins()[0], path))) == ()


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl", "model.pickle"])
def test_pickles_are_told_and_refused_where_none_may_be(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = saved(sklearn_models.margins()[0], tmp_path / name)
    with caplog.at_level(logging.WARNING):
        loaded(file)
    assert "is a pickle, and loading it runs the code in it" in caplog.text
    with pytest.raises(ModelLoadError, match=r"is a pickle.*SERVING_ALLOW_PICKLE.*Save the model as \.skops"):
        loaded(file, allow_pickle=False)


class Planted:
    """A pickle of this runs code."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.file,)


def test_a_refused_pickle_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Planted(tmp_path / "was here")))
    with pytest.raises(ModelLoadError, match="SERVING_ALLOW_PICKLE"):
        loaded(tmp_path / "model.pkl", allow_pickle=False)
    assert not (tmp_path / "was here").exists()
    with pytest.raises(ModelLoadError, match="NoneType"):
        loaded(tmp_path / "model.pkl")
    assert (tmp_path / "was here").exists()


def test_skops_needs_no_pickles(tmp_path: Path) -> None:
    assert loaded(saved(sklearn_models.margins()[0], tmp_path / "model.skops"), allow_pickle=False)


def test_types_that_skops_does_not_trust_are_named_with_the_setting(tmp_path: Path) -> None:
    estimator = make_pipeline(FunctionTransformer(double), LinearRegression()).fit(np.eye(3), [1.0, 2, 3])
    file = saved(estimator, tmp_path / "model.skops")
    name = f"{double.__module__}.double"
    with pytest.raises(ModelLoadError) as raised:
        loaded(file)
    assert f"neither skops nor you trust: {name}." in str(raised.value)
    assert f"SERVING_SKOPS_TRUSTED={name};" in str(raised.value)
    answer = loaded(file, skops_trusted=(name,)).run({"X": np.eye(3)})["predict"]
    np.testing.assert_array_equal(answer, estimator.predict(np.eye(3)))


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04", b"\x80\x04\x95\xff", b"\x78\x9c\x00"])
def test_a_file_that_is_no_model_is_told_with_its_path(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(
        ModelLoadError, match=rf"{path.name} could not be (loaded|unpickled) by scikit-learn .*Expected: "
    ):
        loaded(path)


def test_a_class_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"cnot_installed\nEstimator\n.")
    with pytest.raises(ModelLoadError, match=r"No module named 'not_installed'.*script with model_fn"):
        loaded(tmp_path / "model.pkl")


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        ({"model": 1}, r"holds an object of type builtins's dict, which has none of the methods predict"),
        (LinearRegression(), r"sklearn's LinearRegression, cannot be served by its predict: .*NotFittedError"),
    ],
)
def test_what_cannot_answer_is_told(tmp_path: Path, thing: object, text: str) -> None:
    joblib.dump(thing, tmp_path / "model.joblib")
    with pytest.raises(ModelLoadError, match=text):
        loaded(tmp_path / "model.joblib")


def test_threads_are_openmps_and_joblibs_and_the_users_win() -> None:
    made = planned()
    assert made.environment == {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "LOKY_MAX_CPU_COUNT": "2"}
    assert (made.threads, made.lanes, made.bf16, made.bf16_on_trial) == (2, 1, False, False)
    budget = Budget(4, frozenset(range(4)), 4)
    theirs = make_plan("scikit-learn", ANY, budget, Settings(fpmath="bf16"), {"OMP_NUM_THREADS": "3"})
    assert theirs.threads == 3
    assert theirs.environment == {"OPENBLAS_NUM_THREADS": "3", "LOKY_MAX_CPU_COUNT": "3"}
    assert not theirs.bf16
