"""A lane runs jobs in order in a thread of its own, and ends when it is closed."""

import threading
from functools import partial
from threading import Event

from serving.lane import Lane

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
