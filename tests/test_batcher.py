"""The batcher against a simple model of its rules, with time and failures as the test wills."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from properties import MODERATE
from serving.batcher import Batch, Batcher, Entry
from serving.errors import OverloadedError

NEVER = float("inf")
MAX_ROWS = 8
MAX_WAITING = 6


def entry(payload: str, rows: int = 1, key: str | None = "k", deadline: float = NEVER) -> Entry[str]:
    return Entry(payload, rows, key, deadline)


def filled(*entries: Entry[str], max_rows: int = MAX_ROWS) -> Batcher[str]:
    batcher: Batcher[str] = Batcher(max_rows, max_waiting=100)
    for item in entries:
        batcher.submit(item)
    return batcher


def names(batch: Batch[str] | None) -> str:
    return "-" if batch is None else "".join(item.payload for item in batch)


def handed_out(batcher: Batcher[str], now: float = 0.0) -> str:
    """Every batch until nothing waits, as `ab c d`."""
    batches = []
    while batch := batcher.next_batch(now):
        batches.append(names(batch))
    return " ".join(batches)


def test_nothing_waits_at_first() -> None:
    batcher = filled()
    assert batcher.next_batch(0.0) is None
    assert batcher.waiting == 0


def test_a_lone_request_is_not_held_back() -> None:
    assert handed_out(filled(entry("a"))) == "a"


def test_those_that_wait_ride_together_in_their_order() -> None:
    assert handed_out(filled(entry("a"), entry("b"), entry("c"))) == "abc"


def test_a_batch_is_full_at_the_most_rows() -> None:
    assert handed_out(filled(*map(entry, "abcde"), max_rows=2)) == "ab cd e"


def test_different_shapes_never_ride_together_and_neither_starves() -> None:
    batcher = filled(entry("a", key="x"), entry("b", key="y"), entry("c", key="x"), entry("d", key="y"))
    assert handed_out(batcher) == "ac bd"


def test_a_request_without_a_key_rides_alone() -> None:
    assert handed_out(filled(entry("a", key=None), entry("b", key=None), entry("c"), entry("d"))) == "a b cd"


def test_a_request_larger_than_a_batch_rides_alone() -> None:
    assert handed_out(filled(entry("a", rows=9), entry("b"), entry("c", rows=20), entry("d"))) == "a bd c"


def test_a_request_that_does_not_fit_any_more_leads_the_next_batch() -> None:
    batcher = filled(entry("a", rows=6), entry("b", rows=4), entry("c", rows=2))
    assert handed_out(batcher) == "ac b"


def test_a_request_past_its_deadline_is_not_started() -> None:
    batcher = filled(entry("a", deadline=5), entry("b", deadline=7), entry("c", deadline=6))
    assert names(batcher.next_batch(6.0)) == "b"
    assert batcher.waiting == 0


def test_a_cancelled_request_makes_room_at_once() -> None:
    batcher: Batcher[str] = Batcher(MAX_ROWS, max_waiting=1)
    first = entry("a")
    batcher.submit(first)
    with pytest.raises(OverloadedError, match="1 requests wait already: expected fewer than 1"):
        batcher.submit(entry("b"))
    batcher.cancel(first)
    batcher.submit(entry("c"))
    assert handed_out(batcher) == "c"


def test_parts_of_one_request_come_in_together() -> None:
    batcher: Batcher[str] = Batcher(MAX_ROWS, max_waiting=2)
    batcher.submit(entry("a"))
    batcher.submit(entry("b"), entry("c"), entry("d"))
    assert batcher.waiting == 4
    with pytest.raises(OverloadedError):
        batcher.submit(entry("e"), entry("f"))
    assert handed_out(batcher).replace(" ", "") == "abcd"


def test_cancelling_what_is_being_run_or_was_cancelled_changes_nothing_for_others() -> None:
    first, second = entry("a"), entry("b")
    batcher = filled(first)
    batcher.next_batch(0.0)
    batcher.submit(second)
    for _ in range(2):
        batcher.cancel(first)
    assert handed_out(batcher) == "b"


def test_a_failed_batch_is_run_again_in_halves_before_anything_else() -> None:
    batcher = filled(*map(entry, "abcde"))
    batch = batcher.next_batch(0.0)
    assert batch is not None
    batcher.submit(entry("f"))
    assert batcher.failed(batch) is None
    assert handed_out(batcher) == "ab cde f"


def test_a_request_that_fails_alone_is_guilty() -> None:
    batcher = filled(entry("a"))
    batch = batcher.next_batch(0.0)
    assert batch is not None
    assert batcher.failed(batch) is batch[0]
    assert batcher.next_batch(0.0) is None


def test_nobody_is_run_again_after_being_cancelled_or_expired() -> None:
    cancelled, expired, wanted = entry("a"), entry("b", deadline=1), entry("c")
    batcher = filled(cancelled, expired, wanted, entry("d", deadline=1))
    batch = batcher.next_batch(0.0)
    assert batch is not None
    batcher.failed(batch)
    batcher.cancel(cancelled)
    assert handed_out(batcher, now=1.0) == "c"


@MODERATE
@given(guilt=st.lists(st.booleans(), min_size=1, max_size=MAX_ROWS))
def test_exactly_the_guilty_fail(guilt: list[bool]) -> None:
    """One poisoned request fails its neighbours in MLServer, KServe and Ray."""
    guilty = {str(number) for number, is_guilty in enumerate(guilt) if is_guilty}
    batcher = filled(*(entry(str(number)) for number in range(len(guilt))))
    failed, answered = set(), set()
    while batch := batcher.next_batch(0.0):
        if any(item.payload in guilty for item in batch):
            culprit = batcher.failed(batch)
            failed |= {culprit.payload} if culprit else set()
        else:
            answered |= {item.payload for item in batch}
    assert failed == guilty
    assert answered == {str(number) for number in range(len(guilt))} - guilty


@dataclass
class Fate:
    """What has happened to a request, in the test's own books."""

    number: int
    entry: Entry[int]
    state: str = "waiting"  # then running, done, failed, cancelled or expired
    runs: list[int] = field(default_factory=list)


class Comparison(RuleBasedStateMachine):
    """Any order of arrivals, runs, failures, cancellations and time: the rules hold throughout."""

    def __init__(self) -> None:
        super().__init__()
        self.batcher: Batcher[int] = Batcher(MAX_ROWS, MAX_WAITING)
        self.now = 0.0
        self.fates: list[Fate] = []
        self.running: list[Batch[int]] = []

    def of_state(self, state: str) -> list[Fate]:
        return [fate for fate in self.fates if fate.state == state]

    @rule(
        rows=st.integers(1, MAX_ROWS + 2),
        key=st.sampled_from(["x", "y", None]),
        patience=st.sampled_from([1.0, 3.0, NEVER]),
    )
    def arrive(self, rows: int, key: str | None, patience: float) -> None:
        new: Entry[int] = Entry(len(self.fates), rows, key, self.now + patience)
        if self.batcher.waiting == MAX_WAITING:
            with pytest.raises(OverloadedError):
                self.batcher.submit(new)
        else:
            self.batcher.submit(new)
            self.fates.append(Fate(len(self.fates), new))

    @rule(seconds=st.sampled_from([0.5, 2.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.fates:
            fate = data.draw(st.sampled_from(self.fates))
            self.batcher.cancel(fate.entry)
            if fate.state in ("waiting", "again"):
                fate.state = "cancelled"

    @rule()
    def free_lane(self) -> None:
        again = [fate for fate in self.of_state("again") if self.now < fate.entry.deadline]
        waiting = [fate for fate in self.of_state("waiting") if self.now < fate.entry.deadline]
        batch = self.batcher.next_batch(self.now)
        for fate in self.of_state("again"):  # dropped on the way, now or when their turn comes
            if self.now >= fate.entry.deadline:
                fate.state = "expired"
        if batch is None:
            assert not again
            assert not waiting
            for fate in self.of_state("waiting"):
                fate.state = "expired"
            return
        fates = [self.fates[item.payload] for item in batch]
        assert [fate.entry for fate in fates] == batch  # each once, and as submitted
        assert all(self.now < item.deadline and not item.cancelled for item in batch)
        if again:
            assert all(fate in again for fate in fates)
        else:
            self.check_first_run(fates, waiting)
        for fate in fates:
            fate.state = "running"
        self.running.append(batch)

    def check_first_run(self, fates: list[Fate], waiting: list[Fate]) -> None:
        head = waiting[0]
        room = MAX_ROWS - head.entry.rows
        expected = [head]
        for fate in waiting[1:]:
            if head.entry.key is not None and fate.entry.key == head.entry.key and fate.entry.rows <= room:
                expected.append(fate)
                room -= fate.entry.rows
        assert fates == expected
        for fate in self.of_state("waiting"):  # those before the head were found expired
            if fate.number < head.number:
                fate.state = "expired"

    @precondition(lambda self: self.running)
    @rule(data=st.data(), fails=st.booleans())
    def finish(self, data: st.DataObject, *, fails: bool) -> None:
        batch = data.draw(st.sampled_from(self.running))
        self.running = [other for other in self.running if other is not batch]
        if not fails:
            for item in batch:
                self.fates[item.payload].state = "done"
        elif guilty := self.batcher.failed(batch):
            assert batch == [guilty]
            self.fates[guilty.payload].state = "failed"
        else:
            assert len(batch) > 1
            for item in batch:
                self.fates[item.payload].state = "cancelled" if item.cancelled else "again"

    @invariant()
    def no_batch_exceeds_the_most_rows_but_a_lone_request(self) -> None:
        for batch in self.running:
            assert len(batch) == 1 or sum(item.rows for item in batch) <= MAX_ROWS

    @invariant()
    def only_equal_shapes_ride_together(self) -> None:
        for batch in self.running:
            assert len(batch) == 1 or len({item.key for item in batch} | {None}) == 2

    @invariant()
    def those_that_can_still_be_run_count_as_waiting(self) -> None:
        waiting = self.of_state("waiting")
        alive = [fate for fate in waiting if self.now < fate.entry.deadline]
        assert len(alive) <= self.batcher.waiting <= min(len(waiting), MAX_WAITING)

    @invariant()
    def every_request_is_in_one_place(self) -> None:
        riding = [item.payload for batch in self.running for item in batch]
        assert sorted(riding) == sorted(fate.number for fate in self.of_state("running"))

    def teardown(self) -> None:
        """In the end all that nobody cancelled and no deadline met has been run."""
        while batch := self.batcher.next_batch(self.now):
            for item in batch:
                assert self.fates[item.payload].state in ("waiting", "again")
                self.fates[item.payload].state = "done"
        assert self.batcher.waiting == 0
        assert all(self.now >= fate.entry.deadline for state in ("waiting", "again") for fate in self.of_state(state))


TestComparison = Comparison.TestCase
TestComparison.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
