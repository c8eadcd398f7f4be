"""A lane runs jobs in order in a thread of its own, and ends when it is closed; some jobs have all lanes."""

import threading
from functools import partial
from threading import Event

import pytest

from serving.lane import Lane, Lanes

PATIENCE = 30.0


def test_jobs_run_in_order_in_the_lanes_thread() -> None:
    lane, done = Lane("lane-of-a-test"), Event()
    seen: list[tuple[int, str]] = []

    def note(number: int) -> None:
        seen.append((number, threading.current_thread().name))

    for number in range(3):
        lane.start(partial(note, number))
    lane.start(done.set)
    assert done.wait(PATIENCE)
    assert seen == [(number, "lane-of-a-test") for number in range(3)]
    lane.close()


def test_a_closed_lane_finishes_what_it_was_given_and_ends() -> None:
    lane, done = Lane("lane-that-ends"), Event()
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "lane-that-ends")
    lane.start(done.set)
    lane.close()
    thread.join(PATIENCE)
    assert done.is_set()
    assert not thread.is_alive()


def test_lanes_are_taken_and_given_back() -> None:
    lanes = Lanes(2)
    first, second = lanes.take(), lanes.take()
    assert first is not second
    assert not lanes.may_start
    assert lanes.running == 2
    lanes.give_back(second)
    assert lanes.may_start
    assert lanes.take() is second
    lanes.grow(3)
    assert lanes.may_start
    assert lanes.running == 2
    lanes.grow(1)
    assert lanes.take() not in (first, second)
    assert not lanes.may_start
    lanes.close()


@pytest.mark.parametrize("number", [1, 3])
def test_a_reserved_job_has_all_lanes(number: int) -> None:
    lanes, done = Lanes(number), Event()
    busy = lanes.take()
    lanes.reserve(done.set)
    lanes.start_reserved()
    assert lanes.wait_for_all
    assert not lanes.may_start  # nothing new, so that what runs comes to an end
    assert not done.is_set()
    lanes.give_back(busy)
    lanes.start_reserved()
    assert done.wait(PATIENCE)
    assert not lanes.wait_for_all
    assert not lanes.may_start
    assert lanes.running == number
    lanes.give_back_all()
    assert lanes.running == 0
    assert lanes.may_start
    lanes.close()
