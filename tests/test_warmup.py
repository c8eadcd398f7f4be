"""Warm-up runs a model at the sizes to come, and finds out whether its rows may ride together."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Recorder, identity
from properties import MODERATE, NUMERIC, same
from serving import warmup
from serving.errors import ModelFailedError, ModelRejectedInputError
from serving.signature import Dimension, Inputs, Outputs, Signature, TensorSpec, Value
from serving.validation import validate
from serving.warmup import conclude, synthesise, warm_up
from signatures import TWO_INPUTS, giving, one_input, sequence, spec, taking

Answer = Callable[[Inputs], Outputs]


def rows_of(inputs: Inputs) -> int:
    return len(inputs["x"])


@pytest.mark.parametrize(
    ("most", "rows"), [(1, (1,)), (2, (1, 2)), (3, (1, 2)), (8, (1, 2, 4, 8)), (33, (1, 2, 4, 8, 16, 32))]
)
def test_a_model_runs_at_every_power_of_two_up_to_the_largest_batch(most: int, rows: tuple[int, ...]) -> None:
    model = Recorder(identity)
    result = warm_up(model, most)
    assert result.rows == rows
    assert result.joins == (most > 1)
    assert set(model.rows) == set(rows)
    assert result.seconds >= 0


def test_a_model_that_puts_rows_of_one_number_in_order_is_kept_apart() -> None:
    model = Recorder(lambda inputs: {"y": np.sort(inputs["x"], axis=0)}, one_input(shape=("N", 1)))
    assert not warm_up(model, 4).joins


def test_the_first_run_counts_as_one_of_the_rows_that_are_compared() -> None:
    model = Recorder(identity)
    warm_up(model, 2)
    assert model.rows == [1, 1, 2]


LATER = "it is tried whether they may be joined"
"""What a warm-up says that has left it for after readiness."""


@pytest.fixture
def always_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short a first run is, it is worth while."""
    monkeypatch.setattr(warmup, "MOMENT_SECONDS", 0.0)


@pytest.mark.usefixtures("always_later")
def test_more_than_one_row_may_be_left_for_later() -> None:
    model = Recorder(identity)
    begun = warm_up(model, 8, may_wait=True)
    assert (begun.max_rows, begun.reason, begun.rows, model.rows) == (1, LATER, (1,), [1])
    found = conclude(model, begun)
    assert (found.max_rows, found.rows, found.first_seconds) == (8, (1, 2), begun.first_seconds)
    assert found.untried is None
    assert model.rows == [1, 1, 2]
    assert conclude(model, found) is found


@pytest.mark.usefixtures("always_later")
def test_what_is_found_out_later_is_what_would_have_been_found_out_before() -> None:
    model = Recorder(lambda inputs: {"y": inputs["x"][::-1]})
    found = conclude(model, warm_up(model, 8, may_wait=True))
    assert (found.max_rows, found.reason) == (1, "two rows run together do not give what each gives alone")


@pytest.mark.parametrize(("most", "signature"), [(1, one_input()), (8, one_input(shape=(1, 3)))])
@pytest.mark.usefixtures("always_later")
def test_nothing_is_left_for_later_where_there_is_nothing_to_try(most: int, signature: Signature) -> None:
    assert warm_up(Recorder(identity, signature), most, may_wait=True).untried is None


@pytest.mark.parametrize(("shortest", "longest"), [(60.0, 60.0), (0.0, 0.0)])
def test_what_takes_no_time_or_much_is_not_left_for_later(
    monkeypatch: pytest.MonkeyPatch, shortest: float, longest: float
) -> None:
    monkeypatch.setattr(warmup, "MOMENT_SECONDS", shortest)
    monkeypatch.setattr(warmup, "LONG_SECONDS", longest)
    assert warm_up(Recorder(identity), 8, may_wait=True).max_rows == 8


def test_rows_that_do_not_depend_on_each_other_are_joined() -> None:
    assert warm_up(Recorder(identity), 4).reason == "rows run together give what they give alone"


@pytest.mark.parametrize(
    "answer",
    [
        lambda inputs: {"y": inputs["x"] - inputs["x"].mean(axis=0)},
        lambda inputs: {"y": inputs["x"][::-1]},
        lambda inputs: {"y": np.sort(inputs["x"], axis=0)},
        lambda inputs: {"y": np.full(rows_of(inputs), rows_of(inputs))},
        lambda inputs: {"y": [{"rows": rows_of(inputs)}] * rows_of(inputs)},
        lambda inputs: {"y": np.full((rows_of(inputs), rows_of(inputs)), 1.0)},
    ],
    ids=["mean", "reversed", "sorted", "count", "count in maps", "shape"],
)
def test_a_model_whose_rows_depend_on_each_other_is_kept_apart(answer: Answer) -> None:
    result = warm_up(Recorder(answer), 4)
    assert not result.joins
    assert result.reason == "two rows run together do not give what each gives alone"
    assert result.rows == (1, 2)


UNNAMED = taking(spec("x", shape=("x.0", 3)), spec("z", shape=("z.0", 3)))
"""Two inputs of an exporter that names no axes."""


def test_inputs_whose_first_axes_have_different_names_are_joined_if_rows_match() -> None:
    assert warm_up(Recorder(lambda inputs: {"y": inputs["x"] + inputs["z"]}, UNNAMED), 4).joins


def test_an_input_that_is_a_table_for_all_rows_keeps_requests_apart() -> None:
    answer = warm_up(Recorder(lambda inputs: {"y": inputs["x"] @ inputs["z"].T @ inputs["z"]}, UNNAMED), 4)
    assert not answer.joins


@pytest.mark.parametrize("value", [np.array(1.5), np.zeros((3, 2)), {"a": 1.0}, None])
def test_a_model_whose_answer_cannot_be_split_is_kept_apart(value: Value) -> None:
    result = warm_up(Recorder(lambda _: {"y": value}), 4)
    assert not result.joins
    assert result.reason.startswith("two rows do not run together: output 'y' of a batch of 2 rows")


def noisy(size: float) -> Answer:
    """The same numbers alone, and off by `size` of the largest together, as other kernels for other shapes are."""
    return lambda inputs: {"y": inputs["x"] * (1 + size * (rows_of(inputs) > 1))}


def test_rounding_is_no_dependence_even_in_bf16() -> None:
    assert warm_up(Recorder(noisy(2.0**-8)), 2).joins
    assert not warm_up(Recorder(noisy(2.0**-4)), 2).joins


@pytest.mark.parametrize("number", [np.nan, np.inf, 0.0])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_numbers_without_a_size_agree_with_themselves(number: float, dtype: str) -> None:
    assert warm_up(Recorder(lambda inputs: {"y": np.full(rows_of(inputs), number, dtype)}), 2).joins


def test_outputs_of_every_sort_may_be_joined() -> None:
    def answer(inputs: Inputs) -> Outputs:
        labels = np.full(rows_of(inputs), "a", dtype=object)
        maps = [{"a": float(first), "b": 1} for first in inputs["x"][:, 0]]
        return {"label": labels, "p": maps, "none": np.zeros((rows_of(inputs), 0)), "n": np.ones(rows_of(inputs), int)}

    assert warm_up(Recorder(answer), 2).joins


@pytest.mark.parametrize(
    "signature",
    [one_input(shape=(1, 3)), one_input(shape=()), giving(spec("y", shape=(3,))), giving(sequence(kind="other"))],
)
def test_without_a_batch_axis_nothing_is_joined(signature: Signature) -> None:
    model = Recorder(identity, signature)
    result = warm_up(model, 4)
    assert not result.joins
    assert result.reason == "not every input and output has a free first axis"
    assert len(model.asked) == 1


def test_batching_that_is_off_says_so() -> None:
    assert warm_up(Recorder(identity), 1).reason == "batching is off"


def only(predicate: Callable[[Inputs], bool]) -> Answer:
    """The identity for some inputs, an error for others."""

    def answer(inputs: Inputs) -> Outputs:
        if not predicate(inputs):
            raise ModelRejectedInputError
        return identity(inputs)

    return answer


@pytest.mark.parametrize(("size", "runs"), [(8, True), (32, True), (224, True), (9, False)])
def test_free_axes_are_tried_at_several_sizes(size: int, *, runs: bool) -> None:
    model = Recorder(only(lambda inputs: inputs["x"].shape[1] == size), one_input(shape=("N", "L")))
    assert (warm_up(model, 2).rows == (1, 2)) is runs


@pytest.mark.parametrize(("rank", "runs"), [(1, True), (2, True), (3, False)])
def test_an_input_of_any_shape_is_tried_with_rows_of_values_and_with_values(rank: int, *, runs: bool) -> None:
    signature = Signature((TensorSpec("x", "float32", (), any_rank=True),), one_input().outputs)
    model = Recorder(only(lambda inputs: inputs["x"].ndim == rank), signature)
    assert (warm_up(model, 4).rows == (1,)) is runs


def test_a_model_that_does_not_run_on_made_up_values_is_served_unwarmed() -> None:
    result = warm_up(Recorder(only(lambda _: False)), 4)
    assert not result.joins
    assert result.rows == ()
    assert "does not run on synthetic inputs" in result.reason


def test_a_model_that_takes_one_row_only_is_kept_apart() -> None:
    result = warm_up(Recorder(only(lambda inputs: rows_of(inputs) == 1)), 4)
    assert not result.joins
    assert result.reason.startswith("two rows do not run together")


@pytest.mark.parametrize("error", [ModelRejectedInputError, ModelFailedError])
def test_a_failure_at_a_larger_batch_ends_warm_up_and_not_the_server(
    error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    def answer(inputs: Inputs) -> Outputs:
        if rows_of(inputs) > 4:
            raise error
        return identity(inputs)

    result = warm_up(Recorder(answer), 32)
    assert result.rows == (1, 2, 4)
    assert result.max_rows == 4
    assert "more than 4 do not run" in result.reason
    assert result.reason in caplog.text


shapes = st.lists(st.sampled_from(["N", "L", 1, 2, 3]), max_size=4).map(tuple)


@pytest.mark.parametrize("dtype", [*NUMERIC, "string"])
@MODERATE
@given(shape=shapes, rows=st.integers(1, 4), seed=st.integers(0, 3))
def test_made_up_inputs_are_ones_that_validation_takes(
    dtype: str, shape: tuple[Dimension, ...], rows: int, seed: int
) -> None:
    signature = one_input(dtype, shape)
    inputs = synthesise(signature, rows, 4, seed)
    assert validate(inputs, signature)["x"].dtype == signature.inputs[0].numpy_dtype
    assert all(same(array, synthesise(signature, rows, 4, seed)[name]) for name, array in inputs.items())


def test_an_axis_has_the_same_size_wherever_its_name_stands() -> None:
    signature = taking(spec("a", shape=("N", "L")), spec("b", shape=("N", "N")), spec("c", shape=("N", "L", 3)))
    shapes = {name: array.shape for name, array in synthesise(signature, 2, 5).items()}
    assert shapes == {"a": (2, 5), "b": (2, 2), "c": (2, 5, 3)}


def test_made_up_integers_index_any_table_and_rows_differ() -> None:
    values = synthesise(one_input("int64", ("N", 100)), 2, 4)["x"]
    assert set(values.ravel().tolist()) == {0, 1}
    assert values[0].tolist() != values[1].tolist()
    floats = synthesise(one_input("float32", ("N", 100)), 2, 4)["x"]
    assert 0 <= floats.min() < floats.max() < 1


def test_several_inputs_have_equal_rows_and_different_values() -> None:
    inputs = synthesise(TWO_INPUTS, 5, 4)
    assert inputs["a"].shape == (5, 3)
    assert inputs["b"].shape == (5, 2)
    both = synthesise(taking(spec("a"), spec("b")), 5, 4)
    assert both["a"].tolist() != both["b"].tolist()


def test_free_axes_get_the_sizes_that_are_usual_for_them() -> None:
    picture = TensorSpec("x", "float32", ("batch", 3, "x.2", "x.3"), usual=(1, 3, 24, 32))
    other = TensorSpec("y", "float32", ("batch", "y.1"))
    made = synthesise(Signature((picture, other), ()), rows=2, free=8)
    assert {name: array.shape for name, array in made.items()} == {"x": (2, 3, 24, 32), "y": (2, 8)}


class Keeping(Recorder):
    """Says that it keeps something between calls."""

    state = "it counts them"


def test_a_model_that_keeps_something_between_calls_is_not_even_run() -> None:
    model = Keeping(identity)
    warmed = warm_up(model, 8)
    assert model.asked == []
    assert not warmed.joins
    assert "it counts them" in warmed.reason
