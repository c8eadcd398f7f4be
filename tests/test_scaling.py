"""How a model scales, from what was measured of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import MODERATE, RUN_ROWS, run_seconds
from serving.scaling import Scaling, best_rate, smooth


@MODERATE
@given(seconds=run_seconds())
def test_smoothing_takes_only_disturbances_away(seconds: dict[int, float]) -> None:
    smoothed = smooth(seconds)
    assert smoothed.keys() == seconds.keys()
    for rows, cost in smoothed.items():
        assert cost <= seconds[rows]
        if 2 * rows in smoothed:
            assert cost <= smoothed[2 * rows] <= 2 * cost * (1 + 1e-9)
    assert best_rate(smoothed) >= best_rate(seconds)


def test_a_table_without_disturbances_stays_as_it_is() -> None:
    undisturbed = {rows: 0.01 + 0.002 * rows for rows in RUN_ROWS}
    assert smooth(undisturbed) == undisturbed
    assert smooth({1: 0.005, 2: 0.03, 4: 0.02}) == {1: 0.005, 2: 0.01, 4: 0.02}
    assert best_rate({}) == 0


def test_of_several_turns_the_quickest_runs_count() -> None:
    first = Scaling({1: 0.02}, {}, 2)
    second = first.quickest(Scaling({1: 0.01, 2: 0.03}, {1: 0.03}, 2))
    third = second.quickest(Scaling({1: 0.015, 2: 0.02}, {1: 0.02, 2: 0.04}, 2))
    assert third[:3] == ({1: 0.01, 2: 0.02}, {1: 0.02, 2: 0.04}, 2)


@MODERATE
@given(turns=st.lists(st.tuples(run_seconds(), run_seconds()), min_size=1, max_size=5))
def test_no_turn_takes_anything_away(turns: list[tuple[dict[int, float], dict[int, float]]]) -> None:
    found = Scaling({}, {}, 2)
    for wide, narrow in turns:
        found, before = found.quickest(Scaling(wide, narrow, 2)), found
        assert before.wide.keys() | wide.keys() == found.wide.keys()
        assert all(found.wide[rows] <= seconds for rows, seconds in wide.items())
        assert all(found.narrow[rows] <= seconds for rows, seconds in before.narrow.items())
    assert len(found.leads) == len(turns)


@pytest.mark.parametrize(
    ("known", "turn", "is_confirmed"),
    [
        ({1: 0.010}, {1: 0.010}, True),
        ({1: 0.010}, {1: 0.0097}, True),
        ({1: 0.010}, {1: 0.011}, True),
        ({1: 0.010, 2: 0.02}, {1: 0.010}, True),
        ({1: 0.010}, {1: 0.009}, False),
        ({1: 0.010}, {1: 0.020}, False),
        ({1: 0.010}, {1: 0.010, 2: 0.02}, False),
        ({}, {1: 0.010}, False),
    ],
)
def test_a_turn_confirms_what_is_known_where_it_is_neither_new_nor_much_quicker_nor_disturbed(
    known: dict[int, float], turn: dict[int, float], is_confirmed: bool
) -> None:
    steady = {1: 0.01}
    assert Scaling(known, steady, 2).is_confirmed_by(Scaling(turn, steady, 2)) is is_confirmed
    assert Scaling(steady, known, 2).is_confirmed_by(Scaling(steady, turn, 2)) is is_confirmed


@pytest.mark.parametrize(
    ("leads", "lead"), [((1.1,), 1.1), ((1.0, 1.5), 1.0), ((1.5, 1.0, 1.2), 1.2), ((3.0, 1.0, 1.0, 1.2), 1.0)]
)
def test_wide_runs_lead_as_they_did_in_most_turns(leads: tuple[float, ...], lead: float) -> None:
    found = Scaling({}, {}, 2)
    for each in leads:
        found = found.quickest(Scaling({1: 0.01 / each}, {1: 0.02}, 2))
    assert found.lead == pytest.approx(lead)


def test_a_single_turn_has_a_lead_and_wide_runs_alone_have_none() -> None:
    assert Scaling({1: 0.01}, {1: 0.01}, 2).lead == pytest.approx(0.5)
    assert Scaling({1: 0.01}, {}, 2).lead == 0
