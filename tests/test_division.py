"""Whether a model is divided, on one that tells what is asked of it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from models import Recorder, identity
from serving.backends import Model, NotDivisibleError, Shrinkable
from serving.division import ROWS_MEANWHILE, Division, divide
from serving.formation import Formation
from serving.plans import Plan, make_plan
from serving.preparation import look_around
from serving.settings import Settings
from serving.signature import Inputs, Outputs, row_count
from serving.warmup import WarmUp

WARM = WarmUp(max_rows=32, reason="", rows=(1, 2), seconds=0.0, first_seconds=0.01)


def the_plan(*, may_divide: bool = True) -> Plan:
    machine = look_around()
    plan = make_plan("onnx", machine.processor, machine.budget, Settings(), {})
    return plan._replace(lanes=1, threads=2, may_divide=may_divide)


class Shrinking(Recorder):
    """A model that keeps what it was asked to be shrunk with, too."""

    def __init__(self) -> None:
        super().__init__(identity)
        self.shrunk: list[Inputs] = []

    def shrink(self, inputs: Inputs) -> None:
        """Run them, and remember that."""
        self.shrunk.append(inputs)
        self.run(inputs)


class Dividing(Recorder):
    """A model that can be divided, or says why not."""

    def __init__(self, narrow: Callable[[Inputs], Outputs] = identity, obstacle: str = "") -> None:
        super().__init__(identity)
        self.wide = Shrinking()
        self.narrow = Recorder(narrow)
        self._obstacle = obstacle

    def divide(self) -> tuple[Shrinkable, Model]:
        """Both ways to run it."""
        if self._obstacle:
            raise NotDivisibleError(self._obstacle)
        return self.wide, self.narrow


@pytest.fixture
def divided() -> Callable[..., Division]:
    """Divides a model with runs that take so long: a part of its own, and one for each row.

    The first measurements may be disturbed: they come out as so many times as long.
    """

    def try_it(
        model: Dividing,
        warm: WarmUp = WARM,
        *,
        may: bool = True,
        fixed: float = 0.0,
        wide: float = 0.005,
        narrow: float = 0.01,
        disturbed: Sequence[float] = (),
        used: list[Division] | None = None,
    ) -> Division:
        disturbances = iter(disturbed)

        def alone(measurement: Callable[[], Any]) -> Any:  # noqa: ANN401 (seconds, of which it makes its own)
            each = {model: wide, model.wide: wide, model.narrow: narrow}
            before = {one: len(one.asked) for one in each}
            measurement()
            (asked,) = (one for one in each if len(one.asked) > before[one])
            return next(disturbances, 1) * (fixed + each[asked] * asked.rows[-1])

        called: list[Division] = [] if used is None else used
        return divide(model, the_plan(may_divide=may), warm, alone, called.append)

    return try_it


Divided = Callable[..., Division]


def test_a_model_that_scales_is_divided(divided: Divided) -> None:
    model = Dividing()
    found = divided(model)
    assert (found.wide, found.narrow) == (model.wide, model.narrow)
    assert found.formation == Formation(lanes=2, rows=4, wide_up_to=1, divided=True)
    assert "200 rows/s" in found.reason


@pytest.mark.parametrize("narrow", [0.01, 0.1])
def test_narrow_runs_are_measured_beside_the_wide_ones_that_leave_them_the_cores(
    divided: Divided, narrow: float
) -> None:
    model = Dividing()
    used: list[Division] = []
    found = divided(model, narrow=narrow, used=used)
    # Requests are run meanwhile, and kept short: those who measure wait for them.
    assert used[0][:3] == (model, None, Formation(1, ROWS_MEANWHILE))
    assert used[1][:3] == (model.wide, None, Formation(1, ROWS_MEANWHILE))
    assert used[2:] == [found]


# Of the first turn, of wide runs, and then of turns of both kinds, three sizes of each: a client that starts takes
# a core for half a second.
@pytest.mark.parametrize(
    "disturbed",
    [(3,), (3, 3), (1, 4), (4,), (4, 4, 4, 4), (4,) * 9, (1,) * 6 + (3, 3, 3), (1,) * 8 + (1.2,)],
)
def test_what_disturbs_the_first_measurements_decides_nothing(divided: Divided, disturbed: tuple[float, ...]) -> None:
    found = divided(Dividing(), disturbed=disturbed)
    assert found.formation == Formation(lanes=2, rows=4, wide_up_to=1, divided=True)


def test_that_wide_runs_were_quicker_for_a_moment_decides_nothing(divided: Divided) -> None:
    # A processor's cores are quicker while their neighbours rest: in the second turn, while wide runs are measured.
    found = divided(Dividing(), disturbed=(1,) * 9 + (0.7,) * 3)
    assert found.formation.divided


def test_a_model_that_lives_by_its_batches_is_found_out_in_spite_of_a_disturbance(divided: Divided) -> None:
    found = divided(Dividing(), fixed=0.003, wide=0.0002, disturbed=(1, 2, 4, 8, 16, 32))
    assert found.formation == Formation(lanes=1, rows=32)


@pytest.mark.parametrize("narrow", [0.01, 0.1])
def test_what_larger_runs_took_is_given_back_once_it_is_decided(divided: Divided, narrow: float) -> None:
    model = Dividing()
    divided(model, narrow=narrow)
    assert [row_count(inputs) for inputs in model.wide.shrunk] == [1]


def test_what_runs_will_need_is_taken_after_that(divided: Divided) -> None:
    scaling, other = Dividing(), Dividing()
    formation = divided(scaling).formation
    assert scaling.narrow.rows[-formation.lanes :] == [formation.rows] * formation.lanes
    formation = divided(other, narrow=0.1).formation
    assert other.rows[-1] == formation.rows == 4


def test_but_not_with_more_rows_than_were_tried(divided: Divided) -> None:
    # A run of four would take so long that requests would wait.
    model = Dividing()
    assert divided(model, fixed=0.05, narrow=0.1).formation == Formation(lanes=1, rows=32)
    assert model.rows[-1] == 2


def test_one_that_does_not_keeps_what_was_loaded(divided: Divided) -> None:
    model = Dividing()
    found = divided(model, narrow=0.1)
    assert (found.wide, found.narrow, found.formation.divided) == (model, None, False)


@pytest.mark.parametrize(
    ("warm", "may", "wide", "reason"),
    [
        (WARM, False, 0.005, "as planned"),
        (WARM._replace(first_seconds=1.0), True, 0.005, "too long"),
        (WARM, True, 0.0001, "over before another thread"),
    ],
)
def test_some_are_not_even_tried(divided: Divided, warm: WarmUp, may: bool, wide: float, reason: str) -> None:
    model = Dividing()
    found = divided(model, warm, may=may, wide=wide)
    assert (found.wide, found.narrow, found.formation) == (model, None, Formation(1, 32))
    assert reason in found.reason
    assert not model.narrow.asked


def test_a_model_that_lives_by_its_batches_is_not_even_divided(divided: Divided) -> None:
    model = Dividing()
    found = divided(model, fixed=0.003, wide=0.0002)
    assert (found.wide, found.narrow) == (model, None)
    assert found.formation == Formation(lanes=1, rows=32)
    assert not model.narrow.asked


def test_a_model_of_another_framework_stays_as_planned() -> None:
    model = Recorder(identity)
    used: list[Division] = []
    found = divide(model, the_plan(), WARM, lambda measurement: measurement(), used.append)
    assert not used
    assert found[:3] == (model, None, Formation(1, 32))


def test_what_speaks_against_it_is_told(divided: Divided) -> None:
    found = divided(Dividing(obstacle="no room"))
    assert found.narrow is None
    assert found.reason == "not measured: no room"


def test_another_answer_on_one_core_is_never_given(divided: Divided) -> None:
    found = divided(Dividing(narrow=lambda inputs: {"y": inputs["x"] + np.float32(1)}))
    assert found.narrow is None
    assert "does not give the same" in found.reason


def test_the_plan_says_whether_it_may_be() -> None:
    machine = look_around()
    cores = machine.budget.cores
    plan = make_plan("onnx", machine.processor, machine.budget, Settings(), {})
    assert plan.may_divide == (cores > 1)
    fixed = make_plan("onnx", machine.processor, machine.budget, Settings(lanes=2), {})
    assert (fixed.lanes, fixed.threads, fixed.may_divide) == (2, max(1, cores // 2), False)
