"""When the memory of models that take turns is let go."""

from dataclasses import dataclass, field

from serving.turns import SETTLED_SECONDS, Turns

WIDE, NARROW = 1, 2


@dataclass
class Played:
    """Turns on a clock of its own, and when memory was let go."""

    now: float = 100.0
    let_go: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.turns = Turns(lambda: self.let_go.append(self.now), lambda: self.now)

    def run(self, which: int, seconds: float, step: float = 0.25) -> None:
        """Runs of one kind, one each `step`, for so long."""
        end = self.now + seconds
        self.turns.ran(which)
        while self.now < end:
            self.now += step
            self.turns.ran(which)


def test_it_is_let_go_once_when_one_of_them_has_been_run_for_a_while() -> None:
    played = Played()
    played.run(WIDE, 5 * SETTLED_SECONDS)
    assert played.let_go == [100 + SETTLED_SECONDS]


def test_and_again_when_it_has_been_the_others_turn_for_as_long() -> None:
    played = Played()
    for which in (WIDE, NARROW, WIDE):
        played.run(which, SETTLED_SECONDS)
    assert len(played.let_go) == 3


def test_not_while_they_alternate() -> None:
    played = Played()
    for _ in range(4):
        played.run(WIDE, SETTLED_SECONDS / 2)
        played.run(NARROW, SETTLED_SECONDS / 2)
    assert not played.let_go


def test_with_the_first_run_after_that_where_runs_are_long_or_rare() -> None:
    played = Played()
    played.run(NARROW, 10 * SETTLED_SECONDS, step=10 * SETTLED_SECONDS)
    assert len(played.let_go) == 1
