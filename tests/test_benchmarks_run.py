"""benchmarks/run.py and what keeps it: a run of the comparison is saved round by round, and goes on later."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import comparison, report
from benchmarks.cells import HTTP_ECHO, OURS, Round
from benchmarks.client import BenchmarkError, Measured, NoAnswerError
from benchmarks.contestants import Peers, contestants
from benchmarks.limits import Limit
from benchmarks.run import Run, begun, gone_on
from benchmarks.workloads import MAKERS, Workload

NOBODY = Peers(None)
LIMIT = Limit(100, {1: 100, 8: 400})


def round_of(*servers: str, rate: float = 10) -> Round:
    measured = Measured(rate=rate, p50=1, p99=2, cpu=0.5, requests=1000)
    found = {(server, connections): measured for server in servers for connections in (1, 8, 32)}
    return Round(found, (LIMIT, Limit(90, {1: 90, 8: 300})))


def new(rounds: int = 3) -> Run:
    return begun(NOBODY, contestants(NOBODY, 1), 2, rounds)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where results go meanwhile; beside it is the page."""
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(comparison, "gone_on", lambda run: gone_on(run, tmp_path / "results"))
    return tmp_path / "results"


def test_a_run_comes_back_as_it_was(results: Path) -> None:
    run = new()
    run.measured["tiny-json"] = [round_of(HTTP_ECHO, OURS), round_of(HTTP_ECHO, OURS, rate=20)]
    run.failures.append("mosec, tiny-json: gone")
    report.save(run)
    assert gone_on(new(), results) == run
    assert (run.missing("tiny-json"), run.missing("wide-json")) == (1, 3)


def test_more_rounds_may_be_wanted_later(results: Path) -> None:
    run = new(rounds=1)
    run.measured["tiny-json"] = [round_of(OURS)]
    report.save(run)
    assert gone_on(new(rounds=3), results).missing("tiny-json") == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [("code", "another"), ("machine", "another"), ("versions", {}), ("settings", {}), ("seconds", 9)],
)
def test_rounds_of_something_else_are_not_mixed_in(key: str, value: object, results: Path) -> None:
    report.save(new())
    changed = new()
    changed.about[key] = value
    with pytest.raises(BenchmarkError, match=f"is of something else: {key} was"):
        gone_on(changed, results)


def test_without_a_run_none_goes_on(results: Path) -> None:
    with pytest.raises(BenchmarkError, match="there is no run to go on with"):
        gone_on(new(), results)
    results.mkdir()
    (results / "comparison-2026-11-23-0900.json").write_text(json.dumps({"benchmark": "comparison"}))
    with pytest.raises(BenchmarkError, match="Begin a new run"):
        gone_on(new(), results)


def test_the_page_shows_complete_runs_alone(results: Path) -> None:
    run = begun(Peers("none", "none"), contestants(Peers("none", "none"), 1), 2, 3)
    every = round_of(*run.settings)
    for name in list(MAKERS)[1:]:
        run.measured[name] = [every] * 3
    run.measured["tiny-json"] = [every] * 2
    report.save(run)
    assert "old" in report.PAGE.read_text()
    run.measured["tiny-json"].append(every)
    report.save(run)
    page = report.PAGE.read_text()
    assert page.startswith(f"before\n{report.BEGIN}\n\n{run.about['time']}")
    assert page.endswith(f"{report.END}\nafter\n")
    assert f"![Throughput against p99](../benchmarks/results/{run.name}.svg)" in page
    assert {path.suffix for path in results.iterdir()} == {".json", ".md", ".svg"}


class _CutOffError(Exception):
    pass


def rounds_until(cut: int) -> Callable[[comparison._Comparison, Workload], Iterator[Round]]:
    """Instead of measured ones: so many, then the run is cut off."""

    def rounds(self: comparison._Comparison, workload: Workload) -> Iterator[Round]:
        for number in range(self.run.missing(workload.name)):
            if number == cut:
                raise _CutOffError
            yield round_of(HTTP_ECHO, OURS)

    return rounds


def test_a_run_that_was_cut_off_goes_on(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "check_for_wrk", lambda: None)
    command = ["comparison", "--save", "--workloads", "tiny-json,wide-npy"]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(comparison._Comparison, "rounds", rounds_until(2))
    with pytest.raises(_CutOffError):
        comparison.main()
    (kept,) = results.glob("*.json")
    assert len(json.loads(kept.read_text())["measured"]["tiny-json"]) == 2

    monkeypatch.setattr(sys, "argv", [*command, "--resume"])
    monkeypatch.setattr(comparison._Comparison, "rounds", rounds_until(4))
    assert comparison.main() == 0
    (kept,) = results.glob("*.json")
    measured = json.loads(kept.read_text())["measured"]
    assert {name: len(rounds) for name, rounds in measured.items()} == {"tiny-json": 3, "wide-npy": 3}


def test_a_failure_of_ours_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(comparison, "check_for_wrk", lambda: None)
    monkeypatch.setattr(sys, "argv", ["comparison", "--workloads", "tiny-json", "--rounds", "1"])
    ours = next(one for one in contestants(NOBODY, 1) if one.name == OURS)
    absent = replace(ours, name=OURS + " that is not there", command=("false",))
    monkeypatch.setattr(comparison, "limit_of", lambda *_: LIMIT)
    monkeypatch.setattr(comparison, "contestants", lambda *_: [absent])
    assert comparison.main() == 1
    assert "failed: graviton-serving that is not there, tiny-json: " in capsys.readouterr().err


def test_a_server_that_is_slow_is_given_longer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []

    def measure(_url: str, _cases: Path, connections: int, seconds: int, _cpu: object, *, one_answer: bool) -> Measured:
        assert one_answer
        asked.append((connections, seconds))
        if connections == 32 and seconds <= 2:
            raise NoAnswerError("nothing came")
        return Measured(rate=1, p50=1, p99=1, cpu=1, requests=seconds)

    monkeypatch.setattr(comparison, "measure", measure)
    monkeypatch.setattr(comparison, "limit_of", lambda *_: LIMIT)
    (echo,) = [one for one in contestants(NOBODY, 1) if one.name == HTTP_ECHO]
    run = new(rounds=1)
    (found,) = comparison._Comparison(run, [echo], 1, tmp_path).rounds(MAKERS["tiny-json"]("tiny-json", tmp_path))
    assert asked == [(1, 3), (1, 2), (8, 1), (8, 2), (32, 1), (32, 2), (32, 8)]
    assert found.found[HTTP_ECHO, 32].requests == 8
    assert not run.failures
