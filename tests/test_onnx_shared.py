"""Several sessions with one copy of the weights: right, and told where it cannot be done."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from assets import onnx_models
from serving.backends import Divisible, NotDivisibleError, onnx_shared
from serving.backends.onnx import OnnxModel, load
from serving.plans import Plan, make_plan
from serving.preparation import look_around
from serving.settings import Settings
from serving.signature import Inputs
from serving.warmup import synthesise

KILOBYTE = 1024


def the_plan() -> Plan:
    machine = look_around()
    return make_plan("onnx", machine.processor, machine.budget, Settings(), {})


def loaded(path: Path) -> OnnxModel:
    return load(path, the_plan())


def answers(model: OnnxModel, inputs: Inputs) -> list[Any]:
    return list(model.run(inputs).values())


@pytest.mark.parametrize(
    "build",
    [
        onnx_models.matmul,
        onnx_models.two_inputs,
        onnx_models.every_type,
        onnx_models.external_data,
        onnx_models.identity,
    ],
    ids=lambda build: build.__name__,
)
def test_all_sessions_answer_as_the_model_does(build: Callable[..., Path], tmp_path: Path) -> None:
    model = loaded(build(tmp_path / "model.onnx"))
    assert isinstance(model, Divisible)
    wide, narrow = model.divide()
    assert wide.signature == narrow.signature == model.signature
    for seed in range(3):
        inputs = synthesise(model.signature, 2, 3, seed)
        for one, other, expected in zip(
            answers(wide, inputs), answers(narrow, inputs), answers(model, inputs), strict=True
        ):
            np.testing.assert_array_equal(one, expected)
            np.testing.assert_array_equal(other, expected)


def test_nothing_is_left_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    model = loaded(onnx_models.matmul(tmp_path / "model.onnx"))
    wide, _ = model.divide()
    assert not list(place.iterdir())
    assert answers(wide, synthesise(model.signature, 1, 3))


def test_the_weights_are_there_once(tmp_path: Path) -> None:
    """Both sessions' weights are pages of one file, of which the kernel has one copy."""
    inputs, outputs = 4 * KILOBYTE, KILOBYTE
    model = loaded(onnx_models.matmul(tmp_path / "model.onnx", inputs=inputs, outputs=outputs))
    wide, narrow = model.divide()
    row = synthesise(model.signature, 1, 3)
    wide.run(row)
    narrow.run(row)
    weights = 4 * inputs * outputs
    mapped = mappings(onnx_shared.WEIGHTS)
    assert len(mapped) == 2
    assert all(mapping["Rss"] >= weights for mapping in mapped)
    assert sum(mapping["Pss"] for mapping in mapped) < 1.1 * weights


def mappings(name: str) -> list[dict[str, int]]:
    """Bytes of each mapping of a file of that name by this process (proc(5), smaps)."""
    found: list[dict[str, int]] = []
    wanted = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            wanted = name in line
            found += [{}] if wanted else []
        elif wanted and rest[-1] == "kB":
            found[-1][first[:-1]] = int(rest[0]) * KILOBYTE
    return found


class Usage(NamedTuple):
    """As shutil.disk_usage gives it."""

    total: int
    used: int
    free: int


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded(onnx_models.matmul(tmp_path / "model.onnx"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 0))
    with pytest.raises(NotDivisibleError, match="expected room for"):
        model.divide()


@pytest.mark.parametrize(("left", "divides"), [(0, False), (1 << 30, True), (None, True)])
def test_a_container_with_little_memory_left_is_spared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int | None, *, divides: bool
) -> None:
    model = loaded(onnx_models.matmul(tmp_path / "model.onnx"))
    monkeypatch.setattr(onnx_shared, "available", lambda: left)
    with nullcontext() if divides else pytest.raises(NotDivisibleError, match="of memory for a moment, got 0 MB"):
        model.divide()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded(onnx_models.matmul(tmp_path / "model.onnx"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(NotDivisibleError, match="does not write this model down"):
        model.divide()


def test_a_very_large_model_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded(onnx_models.matmul(tmp_path / "model.onnx"))
    monkeypatch.setattr(onnx_shared, "MOST_BYTES", 10)
    with pytest.raises(NotDivisibleError, match="at most 0 MB"):
        model.divide()


def test_a_run_that_shrinks_the_arena_changes_no_answer(tmp_path: Path) -> None:
    wide, _ = loaded(onnx_models.matmul(tmp_path / "model.onnx")).divide()
    one, many = (synthesise(wide.signature, rows, 3) for rows in (1, 64))
    before = answers(wide, one), answers(wide, many)
    wide.shrink(one)
    for found, expected in zip((answers(wide, one), answers(wide, many)), before, strict=True):
        np.testing.assert_array_equal(found, expected)
