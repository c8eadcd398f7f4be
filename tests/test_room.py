"""Who is given a place for a large body, and when."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BodyTimeoutError, OverloadedError
from serving.room import AHEAD_BYTES, CORE_BYTES, SHARE, Extent, Place, Room, room_for

GIB = 2**30
SIZE = 100


@dataclass
class Asker:
    """One who asks; notes being told."""

    number: int
    told: list[int]
    place: Place | None = field(default=None)

    def ask(self, room: Room, size: int) -> None:
        self.place = room.ask(size, lambda: self.told.append(self.number))


def asked(room: Room, *sizes: int) -> tuple[list[Asker], list[int]]:
    """Those who have asked for these, and the numbers of those who are told, in order."""
    told: list[int] = []
    askers = [Asker(number, told) for number in range(len(sizes))]
    for asker, size in zip(askers, sizes, strict=True):
        asker.ask(room, size)
    return askers, told


def leave(room: Room, asker: Asker) -> None:
    assert asker.place
    room.leave(asker.place)


def given_of(askers: list[Asker]) -> list[bool]:
    return [asker.place.is_given for asker in askers if asker.place]


def test_there_is_room_until_it_is_taken_and_no_one_is_told_what_he_sees() -> None:
    askers, told = asked(Room(Extent(SIZE), 10), 60, 40, 1)
    assert given_of(askers) == [True, True, False]
    assert told == []


def test_who_waits_is_told_in_the_order_in_which_all_came() -> None:
    room = Room(Extent(SIZE), 10)
    askers, told = asked(room, 100, 50, 60, 10)
    leave(room, askers[0])
    assert told == [1]  # the third has no room, and the fourth does not overtake it
    assert room.waiting == 2
    leave(room, askers[1])
    assert told == [1, 2, 3]
    assert room.waiting == 0


def test_who_waits_may_go_and_lets_the_next_come() -> None:
    room = Room(Extent(SIZE), 10)
    askers, told = asked(room, 50, 60, 50)
    leave(room, askers[1])
    assert told == [2]
    assert given_of(askers) == [True, False, True]


def test_a_body_larger_than_the_room_has_it_to_itself() -> None:
    room = Room(Extent(SIZE), 10)
    askers, told = asked(room, 1000, 1, 1000, 1)
    assert given_of(askers) == [True, False, False, False]
    leave(room, askers[0])
    assert told == [1]
    leave(room, askers[1])
    assert told == [1, 2]
    leave(room, askers[2])
    assert told == [1, 2, 3]


def test_no_more_wait_than_may() -> None:
    room = Room(Extent(SIZE), 2)
    askers, _ = asked(room, 100, 100, 100)
    with pytest.raises(OverloadedError, match="2 large bodies wait already"):
        room.ask(1, lambda: None)
    leave(room, askers[0])
    assert not room.ask(100, lambda: None).is_given


def test_who_comes_when_there_is_enough_to_work_on_has_less() -> None:
    askers, told = asked(room := Room(Extent(SIZE, working=2, ahead=20), 10), 30, 30, 15, 15, 30)
    assert given_of(askers) == [True, True, True, False, False]
    leave(room, askers[0])
    assert told == [3]  # it is worked on now; what is still ahead is the third's alone
    leave(room, askers[2])
    assert told == [3]  # the last would be ahead, with more than those may have
    leave(room, askers[1])
    assert told == [3, 4]


@given(
    st.builds(Extent, st.integers(1, 50), st.integers(1, 4), st.integers(0, 60)),
    st.lists(st.tuples(st.booleans(), st.integers(0, 80)), max_size=60),
)
def test_what_is_taken_fits_and_nobody_is_forgotten(extent: Extent, steps: list[tuple[bool, int]]) -> None:
    room = Room(extent, len(steps))
    there: list[Asker] = []
    told: list[int] = []
    for number, (comes, value) in enumerate(steps):
        if comes or not there:
            there.append(Asker(number, told))
            there[-1].ask(room, value)
        else:
            leave(room, there.pop(value % len(there)))
        places = [asker.place for asker in there if asker.place]
        given = [place for place in places if place.is_given]
        assert room.taken == sum(place.size for place in given) <= extent.whole
        ahead = sum(place.size for place in given if place.is_ahead)
        assert ahead <= extent.ahead
        working = sum(not place.is_ahead for place in given)
        assert working <= extent.working
        # All that have a place came before all that wait, and the first of these really has none.
        waiting = places[len(given) :]
        assert not any(place.is_given for place in waiting)
        assert room.waiting == len(waiting)
        if waiting:
            would_be_ahead = working == extent.working and ahead + waiting[0].size > extent.ahead
            assert would_be_ahead or room.taken + waiting[0].size > extent.whole
    assert len(set(told)) == len(told)


def test_what_one_is_told_who_is_late() -> None:
    room = Room(Extent(SIZE), 10)
    askers, _ = asked(room, 100, 40)
    first, second = (asker.place.late(15.0) for asker in askers if asker.place)
    assert isinstance(first, BodyTimeoutError)
    # Sooner, so that those who wait for it are not late with it.
    assert "within 7.5 s" in first.message
    assert "within 15 s" in second.message
    assert isinstance(second, OverloadedError)
    assert "room for 40 bytes" in second.message


@pytest.mark.parametrize(
    ("available", "whole"),
    [
        (GIB // 2, int(GIB // 2 * SHARE)),
        (64 * GIB, 2 * CORE_BYTES),
        (None, 2 * CORE_BYTES),
        # One by one, and never without bound.
        (0, 1),
        (-GIB, 1),
    ],
)
def test_how_much_there_is(available: int | None, whole: int) -> None:
    assert room_for(0, available, cores=2) == Extent(whole, 2, 2 * AHEAD_BYTES)


@pytest.mark.parametrize("available", [None, 4 * GIB])
def test_what_was_set_is_all_for_whoever_comes(available: int | None) -> None:
    room = Room(room_for(SIZE, available, cores=2), 10)
    assert given_of(asked(room, *[10] * 11)[0]) == [True] * 10 + [False]
