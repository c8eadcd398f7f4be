"""Which runs are made at once, by what was measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import MODERATE, RUN_ROWS, run_seconds
from serving.formation import Formation, Run, formation_of
from serving.scaling import Scaling

# Those that are measured of a model that gains nothing from batches.
MEASURED = (1, 2, 4)


def linear(fixed: float, each: float, sizes: tuple[int, ...] = RUN_ROWS) -> dict[int, float]:
    """Seconds of a run that has a fixed part and one for each row."""
    return {rows: fixed + each * rows for rows in sizes}


def test_a_model_that_gains_nothing_from_batches_runs_on_one_core_each() -> None:
    wide, narrow = linear(0, 0.005, MEASURED), linear(0, 0.010, MEASURED)
    formation, reason = formation_of(Scaling(wide, narrow, lanes=2), max_rows=32)
    assert formation == Formation(lanes=2, rows=4, wide_up_to=1, divided=True)
    assert "one run on all cores gives 200 rows/s, 2 on one core each 200" in reason
    assert "batches of more than 4 gain nothing" in reason


@pytest.mark.parametrize(
    "disturbed", [{}, {1: 0.0105}, {2: 0.0170}, {4: 0.0335}, {8: 0.0635}, {2: 0.0170, 4: 0.0335, 8: 0.0635}]
)
def test_a_disturbance_makes_no_batches_too_small(disturbed: dict[int, float]) -> None:
    # MiniLM's on one core.
    narrow = {1: 0.0097, 2: 0.0171, 4: 0.0325, 8: 0.0625}
    formation, _ = formation_of(Scaling(linear(0, 0.005, MEASURED), narrow | disturbed, lanes=2), max_rows=32)
    assert formation.rows == 8


@pytest.mark.parametrize("disturbed", [{}, {1: 0.0100}, {4: 0.0380}, {8: 0.080}])
def test_larger_batches_that_are_behind_are_not_taken(disturbed: dict[int, float]) -> None:
    # EfficientNet's on one core.
    narrow = {1: 0.0096, 2: 0.0183, 4: 0.0375}
    formation, _ = formation_of(Scaling(linear(0, 0.005, MEASURED), narrow | disturbed, lanes=2), max_rows=32)
    assert formation.rows == 2


def test_sizes_too_long_to_be_measured_are_taken_where_the_line_says_so() -> None:
    narrow = linear(0.030, 0.002, (1, 2))
    formation, _ = formation_of(Scaling(linear(0.028, 0.002, (1, 2)), narrow, lanes=2), max_rows=32)
    assert formation.rows == 32


@pytest.mark.parametrize(("second", "rows"), [(0.034, 32), (0.040, 16), (0.044, 8), (0.050, 4), (0.055, 2)])
def test_of_those_as_many_as_each_doubling_is_expected_to_gain_by(second: float, rows: int) -> None:
    wide = {1: 0.030, 2: second}
    assert formation_of(Scaling(wide, {}, lanes=2), max_rows=64)[0].rows == rows


def test_batches_that_take_longer_are_not_made() -> None:
    wide, narrow = linear(0, 0.005, MEASURED), {1: 0.010, 2: 0.021, 4: 0.045}
    formation, _ = formation_of(Scaling(wide, narrow, lanes=2), max_rows=32)
    assert formation.rows == 1


def test_a_model_that_lives_by_its_batches_keeps_all_cores() -> None:
    # Reading the weights is most of a run; narrow lanes would each read them.
    wide, narrow = linear(0.003, 0.0002), linear(0.005, 0.0004)
    formation, reason = formation_of(Scaling(wide, narrow, lanes=2), max_rows=32)
    assert formation.next(8, 0, under_way=0, wide_runs=False) == Run(is_wide=True, rows=8)
    assert formation.next(32, 0, under_way=0, wide_runs=False) == Run(is_wide=True, rows=32)
    assert "batches of up to 32 pay" in reason


@pytest.mark.parametrize(("leads", "divided"), [((), False), ((1.2, 1.0), True), ((1.2, 1.0, 1.2), False)])
def test_all_cores_are_kept_where_wide_runs_lead_in_most_turns(leads: tuple[float, ...], divided: bool) -> None:
    scaling = Scaling(linear(0.0, 0.004, MEASURED), linear(0.0, 0.010, MEASURED), lanes=2, leads=leads)
    formation, _ = formation_of(scaling, max_rows=32)
    assert formation.divided is divided


def test_what_does_not_scale_to_all_cores_is_run_on_single_ones_even_alone() -> None:
    formation, reason = formation_of(Scaling(linear(0, 0.009), linear(0, 0.008), lanes=16), max_rows=32)
    assert formation.divided
    assert "not even for a lone request is the former quicker" in reason
    assert formation.next(1, 0, under_way=0, wide_runs=False) == Run(is_wide=False, rows=1)


def test_without_narrow_runs_the_rows_that_pay_are_found_all_the_same() -> None:
    formation, _ = formation_of(Scaling(linear(0.01, 0.01), {}, lanes=2), max_rows=32)
    assert formation == Formation(lanes=1, rows=32)
    formation, _ = formation_of(Scaling(linear(0, 0.01, MEASURED), {}, lanes=2), max_rows=32)
    assert formation == Formation(lanes=1, rows=4)


@pytest.mark.parametrize(
    ("waiting", "running", "under_way", "wide_runs", "expected"),
    [
        (1, 0, 0, False, Run(is_wide=True, rows=1)),  # a lone request gets all cores
        (2, 0, 0, False, Run(is_wide=False, rows=1)),  # two share them
        (8, 0, 0, False, Run(is_wide=False, rows=2)),  # a quarter of them each, for there are four
        (100, 0, 0, False, Run(is_wide=False, rows=8)),  # never more than pays
        (1, 1, 1, True, None),  # all cores are taken
        (1, 1, 1, False, Run(is_wide=False, rows=1)),  # one core is
        (9, 3, 24, False, Run(is_wide=False, rows=8)),
        (9, 3, 3, False, Run(is_wide=False, rows=3)),  # a quarter of all twelve: the others' lanes are soon free
        (9, 4, 32, False, None),
    ],
)
def test_what_is_started_next(
    waiting: int, running: int, under_way: int, wide_runs: bool, expected: Run | None
) -> None:
    formation = Formation(lanes=4, rows=8, wide_up_to=1, divided=True)
    assert formation.next(waiting, running, under_way=under_way, wide_runs=wide_runs) == expected


@pytest.mark.parametrize("first", range(1, 8))
def test_callers_who_wait_for_their_answers_end_up_evenly_in_the_lanes(first: int) -> None:
    """Eight of them, two lanes: however they began, each lane has four in the end."""
    formation = Formation(lanes=2, rows=32, wide_up_to=1, divided=True)
    lanes, waiting = [first, 8 - first], 0
    for turn in range(8):
        waiting, lanes[turn % 2] = waiting + lanes[turn % 2], 0
        run = formation.next(waiting, 1, under_way=sum(lanes), wide_runs=False)
        assert run is not None
        lanes[turn % 2] = min(run.rows, waiting)
        waiting -= lanes[turn % 2]
    assert lanes == [4, 4]


def test_lanes_of_one_kind_share_what_waits() -> None:
    formation = Formation(lanes=2, rows=32)
    assert formation.next(8, 0, under_way=0, wide_runs=False) == Run(is_wide=True, rows=4)
    assert formation.next(8, 1, under_way=8, wide_runs=True) == Run(is_wide=True, rows=8)
    assert formation.next(8, 2, under_way=8, wide_runs=True) is None


@MODERATE
@given(
    wide=run_seconds(),
    narrow=run_seconds() | st.just({}),
    lanes=st.integers(2, 64),
    max_rows=st.sampled_from([1, 5, 32]),
)
def test_whatever_was_measured_something_is_always_started(
    wide: dict[int, float], narrow: dict[int, float], lanes: int, max_rows: int
) -> None:
    formation, reason = formation_of(Scaling(wide, narrow, lanes), max_rows)
    assert reason
    for waiting in (0, 1, 2, 7, 100):
        run = formation.next(waiting, 0, under_way=0, wide_runs=False)
        assert run is not None
        assert run.rows >= 1
        assert run.is_wide or 1 <= run.rows <= max_rows
    assert formation.next(5, formation.lanes, under_way=9, wide_runs=False) is None
