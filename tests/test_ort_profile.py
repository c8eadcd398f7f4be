"""ONNX Runtime's profile is read: the last run alone, each kernel's own time."""

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import THOROUGH
from serving.ort_profile import Node, last_run


def run(start: int, duration: int) -> dict[str, Any]:
    return {"cat": "Session", "name": "model_run", "ts": start, "dur": duration, "args": {}}


def node(operator: str, start: int, duration: int, **arguments: object) -> dict[str, Any]:
    """A kernel's event as ONNX Runtime 1.32 writes it."""
    shapes = {"input_type_shape": [{"float": [2, 258]}], "output_type_shape": [{"float": [2, 64]}]}
    known = {"op_name": operator, "provider": "CPUExecutionProvider"} | shapes | arguments
    return {"cat": "Node", "name": f"{operator}_0_kernel_time", "ts": start, "dur": duration, "args": known}


def test_the_last_run_is_read() -> None:
    events = [run(0, 90), node("MatMul", 10, 50), run(100, 40), node("MatMul", 110, 20)]
    found = last_run(json.dumps(events))
    assert found.milliseconds == pytest.approx(0.040)
    assert [replace(kernel, milliseconds=round(kernel.milliseconds, 6)) for kernel in found.nodes] == [
        Node("MatMul", "CPUExecutionProvider", "float32", 258 * 64, 0.020)
    ]


def test_a_loop_keeps_only_what_its_body_leaves() -> None:
    events = [
        node("MatMul", 12, 30),  # events are written when they end, so a body comes before its loop
        node("Tanh", 42, 10),
        node("MatMul", 60, 30),
        node("Loop", 10, 90),
        node("Add", 101, 5),
        run(5, 110),
    ]
    times = [(n.operator, round(n.milliseconds * 1000)) for n in last_run(json.dumps(events)).nodes]
    assert times == [("Loop", 20), ("MatMul", 30), ("Tanh", 10), ("MatMul", 30), ("Add", 5)]


@pytest.mark.parametrize(
    ("written", "dtype"), [("float", "float32"), ("double", "float64"), ("int64", "int64"), ("float16", "float16")]
)
def test_types_have_numpys_names(written: str, dtype: str) -> None:
    event = node("MatMul", 1, 1, input_type_shape=[{written: [2, 3]}])
    assert last_run(json.dumps([run(0, 9), event])).nodes[0].dtype == dtype


@pytest.mark.parametrize("tensors", [None, [], [{}], [3], [{"float": None}], "x", {"float": [1]}])
def test_a_kernel_without_known_shapes_is_a_kernel(tensors: object) -> None:
    found = last_run(json.dumps([run(0, 9), node("MatMul", 1, 1, input_type_shape=tensors)])).nodes[0]
    assert (found.operator, found.weights) == ("MatMul", 0)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '[{"name": "model_run"}]', "[" * 100_000])
def test_what_is_no_profile_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        last_run(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 50) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
EVENTS = st.fixed_dictionaries(
    {"name": st.sampled_from(["model_run", "x_kernel_time", "other"]) | JSON, "ts": JSON, "dur": JSON},
    optional={"args": st.fixed_dictionaries({}, optional={"op_name": JSON, "input_type_shape": JSON}) | JSON},
)


@THOROUGH
@given(st.lists(EVENTS, max_size=6))
def test_events_of_any_shape_give_a_run_or_a_value_error(events: list[dict[str, Any]]) -> None:
    with contextlib.suppress(ValueError):
        assert all(kernel.milliseconds >= 0 for kernel in last_run(json.dumps(events)).nodes)


@THOROUGH
@given(st.text(max_size=60))
def test_any_text_gives_a_run_or_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        last_run(text)
