"""The pure parts of benchmarks/: the limit, ratios, verdicts, tables, the chart, and what is sent."""

import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from benchmarks import limits, memory, ping, start
from benchmarks.cells import ECHOES, HTTP_ECHO, OURS, Cell, Round, best_peer, cells_of, ratio
from benchmarks.chart import COLOURS, chart
from benchmarks.client import Measured
from benchmarks.contestants import Peers, contestants, running
from benchmarks.limits import Limit
from benchmarks.report import BEGIN, END, PAGE, tables, with_section
from benchmarks.targets import TARGETS, Verdict, verdicts
from benchmarks.workloads import JSON, MAKERS, NPY, Inputs, Workload, with_rows

LIMITS = (Limit(single=100, rates={1: 100, 8: 400, 32: 300}), Limit(single=100, rates={1: 100, 8: 600, 32: 700}))


def measured(rate: float, p50: float = 1, p99: float = 2) -> Measured:
    return Measured(rate=rate, p50=p50, p99=p99, cpu=0.5, requests=1000)


def round_of(rates: dict[tuple[str, int], float]) -> Round:
    return Round({key: measured(rate) for key, rate in rates.items()}, LIMITS)


def two_inputs() -> Workload:
    requests = tuple({"a": np.array([[1, number]]), "b": np.array([[0.5]], np.float32)} for number in range(3))
    return Workload("two", Path("none.onnx"), JSON, requests, (np.zeros((1, 1), np.float32),) * 3)


def test_limit_of_one_connection_adds_the_times() -> None:
    assert round_of({(HTTP_ECHO, 1): 400}).ceiling(1) == pytest.approx(1 / (1 / 100 + 1 / 400))


@pytest.mark.parametrize(("connections", "wanted"), [(8, (400 + 600) / 2), (32, (400 + 700) / 2)])
def test_limit_of_more_is_the_best_batch_that_fits(connections: int, wanted: float) -> None:
    assert round_of({(HTTP_ECHO, connections): 10_000}).ceiling(connections) == wanted


def test_limit_of_more_is_the_echos_where_that_is_less() -> None:
    assert round_of({(HTTP_ECHO, 8): 50}).ceiling(8) == 50


def test_without_the_echo_there_is_no_limit() -> None:
    (cell,) = cells_of("tiny-json", [round_of({(OURS, 1): 7})])
    assert cell.share is None


def test_cells_are_medians_and_ratios_those_of_rounds() -> None:
    # The second minute was slow: 40 against 20 is still twice as fast.
    rates = [(100, 50), (40, 20), (120, 70)]
    ours, peer = cells_of("tiny-json", [round_of({(OURS, 8): a, ("mosec", 8): b}) for a, b in rates])
    assert ours.rate == 100
    assert ratio(ours, peer) == 2


def test_a_server_that_failed_in_a_round_lacks_it() -> None:
    cells = cells_of("tiny-json", [round_of({(OURS, 1): 5}), round_of({(OURS, 1): 6, ("mosec", 1): 4})])
    assert {cell.server: len(cell.rounds) for cell in cells} == {OURS: 2, "mosec": 1}


def test_ratios_are_of_rounds_that_both_have() -> None:
    found = [{(OURS, 1): 5.0}, {(OURS, 1): 60.0, ("mosec", 1): 20.0}, {("LitServe", 1): 4.0}]
    cells = {cell.server: cell for cell in cells_of("tiny-json", [round_of(rates) for rates in found])}
    assert ratio(cells[OURS], cells["mosec"]) == 3
    assert ratio(cells[OURS], cells["LitServe"]) is None


def test_the_best_peer_is_neither_ours_nor_an_echo() -> None:
    cells = cells_of("tiny-json", [round_of({(HTTP_ECHO, 1): 99, (OURS, 1): 9, ("mosec", 1): 3, ("LitServe", 1): 4})])
    ours = next(cell for cell in cells if cell.server == OURS)
    peer = best_peer(ours, cells)
    assert peer is not None
    assert peer.server == "LitServe"


def test_targets_are_of_workloads_that_exist() -> None:
    assert {target.workload for target in TARGETS} == set(MAKERS)
    assert {(target.workload, target.connections) for target in TARGETS} == {(n, c) for n in MAKERS for c in (1, 8, 32)}


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (Verdict("w", 1, "of the limit", 0.8, 1.0), "met by 25%"),
        (Verdict("w", 1, "of the limit", 0.8, 0.6), "MISSED by 25%"),
        (Verdict("w", 32, "p99 / p50", 2.5, 2.0, most=True), "met by 20%"),
        (Verdict("w", 32, "p99 / p50", 2.5, 5.0, most=True), "MISSED by 100%"),
        (Verdict("w", 1, "of mosec", 1.15, None), "not measured"),
    ],
)
def test_verdicts_tell_by_how_much(verdict: Verdict, text: str) -> None:
    assert verdict.text == text


def test_verdicts_of_a_workload() -> None:
    found = verdicts(cells_of("tiny-json", [round_of({(HTTP_ECHO, 1): 900, (OURS, 1): 12, ("mosec", 1): 10})]))
    reached = {(one.connections, one.what): one.reached for one in found}
    assert reached[1, "of mosec"] == 1.2
    assert reached[1, "of the best peer"] == 1.2
    assert reached[8, "of mosec"] is None


def test_a_slow_tail_is_found() -> None:
    cell = Cell("wide-npy", OURS, 32, {0: measured(9, p50=10, p99=30)}, (0.9,))
    (tail,) = [one for one in verdicts([cell]) if one.what == "p99 / p50"]
    assert tail.reached == 3
    assert not tail.met


def test_tables_have_a_row_for_each_cell() -> None:
    cells = cells_of("text-json", [round_of({(HTTP_ECHO, 8): 900, (OURS, 8): 300, ("mosec", 8): 200})])
    text = tables(cells)
    assert "| text-json | graviton-serving | 8 | 300 | 0.60 |  | 1.00 | 2.00 | 0.500 |" in text
    assert "| text-json | mosec | 8 | 200 | 0.40 | 1.50 |" in text
    assert "| text-json | 8 | of the limit | ≥ 0.93 | 0.60 | MISSED by 35% |" in text


def test_the_chart_draws_every_point() -> None:
    servers = [f"server <{number}>" for number in range(len(COLOURS) + 1)]
    points = [("wide-json", name, 10.0 * c, 2.0 * c) for name in servers for c in (1, 8, 32)]
    root = ET.fromstring(chart(points))  # noqa: S314 (made here)
    assert len(root.findall("{*}circle")) == len(points)
    assert len(root.findall("{*}polyline")) == len(servers)


def test_the_page_has_a_section_to_write() -> None:
    page = PAGE.read_text(encoding="utf-8")
    written = with_section(with_section(page, "old"), "new")
    assert f"{BEGIN}\n\nnew\n{END}" in written
    assert "old\n" not in written.partition(BEGIN)[2]
    with pytest.raises(ValueError, match="expected"):
        with_section("no section", "text")


def test_bodies_name_the_inputs_where_there_are_several() -> None:
    workload = two_inputs()
    assert json.loads(workload.bodies[2]) == {"instances": [{"a": [1, 2], "b": [0.5]}]}
    (first, second) = json.loads(workload.open_inference_bodies[2])["inputs"]
    assert first == {"name": "a", "shape": [1, 2], "datatype": "INT64", "data": [1, 2]}
    assert second == {"name": "b", "shape": [1, 1], "datatype": "FP32", "data": [0.5]}


def test_the_bare_runtime_batches_each_shape_apart() -> None:
    requests = tuple({"a": np.full((1, length), length)} for length in (3, 5, 3))
    workload = Workload("mixed", Path("none.onnx"), JSON, requests, (np.zeros((1, 1)),) * 3)
    assert [batch["a"].shape for batch in workload.batches(4)] == [(4, 3), (4, 5)]


def test_the_limit_of_several_shapes_has_no_more_at_hand_than_there_are_callers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: set[tuple[int, ...]] = set()

    class Session:
        def run(self, _outputs: None, inputs: Inputs) -> None:
            asked.add(inputs["a"].shape)

    requests = tuple({"a": np.full((1, length), length)} for length in (3, 5, 7))
    workload = Workload("mixed", Path("none.onnx"), JSON, requests, (np.zeros((1, 1)),) * 3)
    monkeypatch.setattr(limits, "session_of", lambda *_: Session())
    monkeypatch.setattr(limits, "BATCHES", (1, 4))
    found = limits.limit_of(workload, 2, seconds=0.01)
    # Of four in turn at most two are alike, at first; later as many as were answered together.
    assert {shape[1] for shape in asked} == {3, 5, 7}
    assert max(rows for rows, _ in asked) <= 4
    assert found.best(3) == found.rates[1]


def test_requests_of_several_rows_are_answered_by_the_model(tmp_path: Path) -> None:
    tiny = MAKERS["tiny-json"]("tiny-json", tmp_path)
    larger = with_rows(tiny, (1, 3))
    assert [len(answer) for answer in larger.answers] == [1, 3]
    np.testing.assert_allclose(larger.answers[1][0], tiny.answers[1][0], rtol=1e-5)
    assert len(json.loads(larger.bodies[1])["instances"]) == 3


def test_npy_bodies_are_readable(tmp_path: Path) -> None:
    tiny = MAKERS["tiny-json"]("tiny-json", tmp_path)
    workload = Workload("tiny", tiny.model, NPY, tiny.requests, tiny.answers)
    np.testing.assert_array_equal(np.load(io.BytesIO(workload.bodies[0])), tiny.requests[0]["x"])


def test_other_tables_tell_what_is_missed() -> None:
    sizes = memory.Sizes("tiny-json", 80, 90, 110, 5000, (1, 8), (90, 110))
    assert "| tiny-json | 80 | 90 | 110 | 5000 | 1.38 | MISSED | +20.0 |" in memory.table([sizes])
    assert "| 0.60 | 0.40 | 1.50 | met |" in start.table([start.Start("text-json", (0.6,), (0.4,))])
    pings = ping.Pings("bodies", 9, 1, 120, 130, 100, 120)
    assert "| 100 | MISSED |" in ping.table([pings])


@pytest.mark.parametrize("name", ECHOES)
def test_the_echoes_read_everything_and_answer_rightly(name: str, tmp_path: Path) -> None:
    tiny = MAKERS["tiny-json"]("tiny-json", tmp_path)
    (echo,) = [one for one in contestants(Peers(None), 1) if one.name == name]
    with running(echo, tiny, 1) as server:
        connection = server.connection()
        # As large as several of the pieces in which it reads; then another on the same connection.
        for body in (b"x" * 700_000, tiny.bodies[0]):
            connection.request("POST", server.path, body)
            assert connection.getresponse().read() == tiny.an_answer
        connection.close()
        assert server.resident_bytes() > 0
        assert server.cpu_seconds() > 0
