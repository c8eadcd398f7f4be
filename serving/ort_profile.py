"""Reading ONNX Runtime's profile: a JSON list of events in Chrome's trace format, times in microseconds.

Of interest are the `model_run` events (a run each) and the `Node` events (a kernel each). The events of a
Loop's or If's body lie within the event of the Loop itself, so a node's own time is what the nodes within
it leave over.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RUN = "model_run"
KERNEL_TIME = "_kernel_time"
MICROSECONDS = 1e-3  # in milliseconds
# ONNX Runtime's names of element types that numpy calls otherwise.
DTYPES = {"float": "float32", "double": "float64"}


@dataclass(frozen=True, slots=True)
class Node:
    """One kernel that ran.

    `dtype` is that of its first input, numpy's name. For the float products ONNX's typing rules make it the
    dtype of the weights too, which the profile leaves out once they are packed. `weights` is the size of
    one matrix of B for a MatMul: columns of A times columns of the result; 0 where shapes are unknown.
    """

    operator: str
    provider: str
    dtype: str
    weights: int
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the model: how long it took, and the kernels that it ran."""

    milliseconds: float
    nodes: tuple[Node, ...]


def last_run(text: str) -> Run:
    """The last run in the profile. Raises ValueError for anything but a profile with a run in it."""
    events = _events(text)
    runs = [event for event in events if event["name"] == RUN]
    if not runs:
        raise ValueError("the profile holds no run")
    run = max(runs, key=lambda event: float(event["ts"]))
    nodes = [event for event in events if event["name"].endswith(KERNEL_TIME) and _is_within(event, run)]
    return Run(run["dur"] * MICROSECONDS, tuple(_nodes(nodes)))


def _events(text: str) -> list[dict[str, Any]]:
    """The events that have a name and a time; RecursionError is how a nested document that is none ends."""
    try:
        events = json.loads(text)
    except RecursionError:
        raise ValueError("the profile is nested too deeply") from None
    if not isinstance(events, list):
        raise ValueError("the profile is no list")  # noqa: TRY004 (its text is wrong, not a caller's type)
    return [event for event in events if _is_event(event)]


def _is_event(event: object) -> bool:
    return (
        isinstance(event, dict)
        and isinstance(event.get("name"), str)
        and all(isinstance(event.get(key), int) and event[key] >= 0 for key in ("ts", "dur"))
    )


def _is_within(event: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool(other["ts"] <= event["ts"] and event["ts"] + event["dur"] <= other["ts"] + other["dur"])


def _nodes(events: Iterable[dict[str, Any]]) -> Iterator[Node]:
    ordered = sorted(events, key=lambda event: (event["ts"], -event["dur"]))
    own = [event["dur"] for event in ordered]
    around: list[int] = []
    for number, event in enumerate(ordered):
        while around and not _is_within(event, ordered[around[-1]]):
            around.pop()
        if around:
            own[around[-1]] -= event["dur"]
        around.append(number)
    for event, duration in zip(ordered, own, strict=True):
        yield _node(event, max(0, duration) * MICROSECONDS)


def _node(event: Mapping[str, Any], milliseconds: float) -> Node:
    arguments = event.get("args")
    arguments = arguments if isinstance(arguments, dict) else {}
    dtype, shape = _first_tensor(arguments.get("input_type_shape"))
    _, result = _first_tensor(arguments.get("output_type_shape"))
    return Node(
        operator=str(arguments.get("op_name", event["name"].removesuffix(KERNEL_TIME))),
        provider=str(arguments.get("provider", "")),
        dtype=DTYPES.get(dtype, dtype),
        weights=shape[-1] * result[-1] if shape and result else 0,
        milliseconds=milliseconds,
    )


def _first_tensor(tensors: object) -> tuple[str, Sequence[int]]:
    """Type and shape of the first of `[{"float": [2, 258]}, …]`; empty where there is none."""
    first = tensors[0] if isinstance(tensors, list) and tensors else None
    if not isinstance(first, dict) or not first:
        return "", ()
    name, shape = next(iter(first.items()))
    sizes = isinstance(shape, list) and all(isinstance(size, int) for size in shape)
    return name, shape if sizes else ()
