"""Who is given a place for a large body, and when."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BodyTimeoutError, OverloadedError
from serving.room import CORE_BYTES, SHARE, Place, Room, room_for

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
    askers, told = asked(Room(SIZE, 10), 60, 40, 1)
    assert given_of(askers) == [True, True, False]
    assert told == []


def test_who_waits_is_told_in_the_order_in_which_all_came() -> None:
    room = Room(SIZE, 10)
    askers, told = asked(room, 100, 50, 60, 10)
    leave(room, askers[0])
    assert told == [1]  # the third has no room, and the fourth does not overtake it
    assert room.waiting == 2
    leave(room, askers[1])
    assert told == [1, 2, 3]
    assert room.waiting == 0


def test_who_waits_may_go_and_lets_the_next_come() -> None:
    room = Room(SIZE, 10)
    askers, told = asked(room, 50, 60, 50)
    leave(room, askers[1])
    assert told == [2]
    assert given_of(askers) == [True, False, True]


def test_a_body_larger_than_the_room_has_it_to_itself() -> None:
    room = Room(SIZE, 10)
    askers, told = asked(room, 1000, 1, 1000, 1)
    assert given_of(askers) == [True, False, False, False]
    leave(room, askers[0])
    assert told == [1]
    leave(room, askers[1])
    assert told == [1, 2]
    leave(room, askers[2])
    assert told == [1, 2, 3]


def test_no_more_wait_than_may() -> None:
    room = Room(SIZE, 2)
    askers, _ = asked(room, 100, 100, 100)
    with pytest.raises(OverloadedError, match="2 large bodies wait already"):
        room.ask(1, lambda: None)
    leave(room, askers[0])
    assert not room.ask(100, lambda: None).is_given


@given(st.integers(1, 50), st.lists(st.tuples(st.booleans(), st.integers(0, 80)), max_size=60))
def test_what_is_taken_fits_and_nobody_is_forgotten(size: int, steps: list[tuple[bool, int]]) -> None:
    room = Room(size, len(steps))
    there: list[Asker] = []
    told: list[int] = []
    for number, (comes, value) in enumerate(steps):
        if comes or not there:
            there.append(Asker(number, told))
            there[-1].ask(room, value)
        else:
            leave(room, there.pop(value % len(there)))
        places = [asker.place for asker in there if asker.place]
        assert room.taken == sum(place.size for place in places if place.is_given) <= size
        # All that have a place came before all that wait, and the first of these really has none.
        waiting = [place for place in places if not place.is_given]
        assert places[len(places) - len(waiting) :] == waiting
        assert room.waiting == len(waiting)
        assert not waiting or sum(place.size for place in places if place.is_given) + waiting[0].size > size
    assert len(set(told)) == len(told)


def test_what_one_is_told_who_is_late() -> None:
    room = Room(SIZE, 10)
    askers, _ = asked(room, 100, 40)
    first, second = (asker.place.late(15.0) for asker in askers if asker.place)
    assert isinstance(first, BodyTimeoutError)
    # Sooner, so that those who wait for it are not late with it.
    assert "within 7.5 s" in first.message
    assert "within 15 s" in second.message
    assert isinstance(second, OverloadedError)
    assert "room for 40 bytes" in second.message


@pytest.mark.parametrize(
    ("most", "available", "size"),
    [
        (0, GIB // 2, int(GIB // 2 * SHARE)),
        (0, 64 * GIB, 2 * CORE_BYTES),
        (GIB, 4 * GIB, GIB),
        (GIB, None, GIB),
        (0, None, 2 * CORE_BYTES),
        # One by one, and never without bound.
        (0, 0, 1),
        (0, -GIB, 1),
    ],
)
def test_how_much_there_is(most: int, available: int | None, size: int) -> None:
    assert room_for(most, available, cores=2) == size
