"""What is expected of a run is what such runs took."""

from serving.costs import MOST_SHAPES, Costs


def test_nothing_is_expected_of_a_run_that_was_never_seen() -> None:
    costs = Costs()
    costs.learn("a", 4, 1.0)
    assert costs.expected("b", 4) is None
    assert costs.expected("a", 5) is None


def test_rows_are_told_apart_to_the_next_power_of_two() -> None:
    costs = Costs()
    costs.learn("a", 5, 1.0)
    assert [costs.expected("a", rows) for rows in (4, 5, 8, 9)] == [None, 1.0, 1.0, None]


def test_one_slow_run_among_fast_ones_changes_little() -> None:
    costs = Costs()
    for seconds in (1.0, 1.0, 50.0):
        costs.learn("a", 1, seconds)
    assert costs.expected("a", 1) == 1.0 * 1.1
    costs.learn("a", 1, 1.0)
    assert costs.expected("a", 1) == 1.0


def test_a_lasting_change_is_believed() -> None:
    costs = Costs()
    costs.learn("a", 1, 1.0)
    for _ in range(20):
        costs.learn("a", 1, 5.0)
    assert costs.expected("a", 1) == 5.0


def test_shapes_without_end_do_not_fill_the_memory() -> None:
    costs = Costs()
    for shape in range(MOST_SHAPES + 10):
        costs.learn(shape, 1, 1.0)
    known = [shape for shape in range(MOST_SHAPES + 10) if costs.expected(shape, 1)]
    assert known == list(range(MOST_SHAPES, MOST_SHAPES + 10))
