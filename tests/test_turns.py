"""When the memory of models that take turns is let go."""

from serving.turns import SETTLED, Turns

WIDE, NARROW = 1, 2


def test_it_is_let_go_once_when_one_of_them_has_been_run_for_a_while() -> None:
    let_go: list[int] = []
    turns = Turns(lambda: let_go.append(1))
    for _ in range(SETTLED - 1):
        turns.ran(WIDE)
    assert not let_go
    for _ in range(3 * SETTLED):
        turns.ran(WIDE)
    assert len(let_go) == 1


def test_and_again_when_it_has_been_the_others_turn_for_as_long() -> None:
    let_go: list[int] = []
    turns = Turns(lambda: let_go.append(1))
    for which in (WIDE, NARROW, WIDE):
        for _ in range(SETTLED):
            turns.ran(which)
    assert len(let_go) == 3


def test_not_while_they_alternate() -> None:
    let_go: list[int] = []
    turns = Turns(lambda: let_go.append(1))
    for _ in range(4):
        turns.ran(WIDE)
        for _ in range(SETTLED - 1):
            turns.ran(NARROW)
    assert not let_go
