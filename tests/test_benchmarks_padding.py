"""The pure parts of benchmarks/padding.py, and the frame that it shares with other programs."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets import minilm
from benchmarks import padding, program, records
from benchmarks.client import BenchmarkError


@given(
    lengths=st.lists(st.integers(1, 64), min_size=1, max_size=100),
    waiting=st.integers(1, 40),
    size=st.integers(1, 32),
    most_waste=st.sampled_from([0, 1 / 8, 1 / 2]),
)
def test_alike_texts_ride_together(lengths: list[int], waiting: int, size: int, most_waste: float) -> None:
    batches = list(padding.alike(lengths, waiting, size, most_waste))
    assert sorted(text for batch in batches for text in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= size
        assert padding.waste(batch, lengths) <= most_waste
        assert len({text // waiting for text in batch}) == 1


def test_shorter_texts_are_filled_with_zeros() -> None:
    requests = [
        {minilm.IDS: np.full((1, length), length), minilm.MASK: np.ones((1, length), np.int64)} for length in (2, 3)
    ]
    batch = padding.joined(requests)
    np.testing.assert_array_equal(batch[minilm.IDS], [[2, 2, 0], [3, 3, 3]])
    np.testing.assert_array_equal(batch[minilm.MASK], [[1, 1, 0], [1, 1, 1]])


def ways(padded: float) -> list[padding.Way]:
    return [
        padding.Way("one", wide=False, padded=False, waste=0, texts=1, rates=(100, 50)),
        padding.Way("one", wide=True, padded=False, waste=0, texts=1, rates=(900, 900)),
        padding.Way("of one length", wide=False, padded=False, waste=0, texts=2.5, rates=(110, 90)),
        padding.Way("8 as they come", wide=False, padded=True, waste=0.2, texts=8, rates=(110 * padded, 90 * padded)),
    ]


@pytest.mark.parametrize(("padded", "told"), [(1.04, "does NOT pay"), (1.06, "pays")])
def test_padding_is_held_against_what_the_server_does(padded: float, told: str) -> None:
    text = padding.table(ways(padded))
    assert f"Padding {told}: at best 8 as they come, narrow, {padded:.2f} times of one length, narrow." in text
    assert f"| 8 as they come | narrow | 8.0 | 20% | {100 * padded:.0f} | {padded:.2f} |" in text


@dataclass(frozen=True)
class Figure:
    seconds: float

    @property
    def rate(self) -> float:
        return 1 / self.seconds


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workloads", type=program.names, default=())


def measure(options: argparse.Namespace, folder: Path) -> Sequence[Figure]:
    if "none" in options.workloads:
        raise BenchmarkError("nothing to measure")
    assert folder.is_dir()
    return [Figure(0.5)]


def run() -> int:
    return program.run("test", "about", options, measure, lambda found: f"{len(found)} figures", most=2)


def test_a_program_keeps_what_it_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["test", "--workloads", "a, b", "--save"])
    assert run() == 0
    (kept,) = tmp_path.iterdir()
    document = json.loads(kept.read_text())
    assert document["rows"] == [{"seconds": 0.5, "rate": 2}]
    assert document["settings"] == {"workloads": ["a", "b"], "most": 2}


def test_a_program_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["test", "--workloads", "none"])
    assert run() == 1
    assert capsys.readouterr().err == "nothing to measure\n"
