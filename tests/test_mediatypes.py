"""Accept headers: the choice of RFC 9110, made again here in the dullest way."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import THOROUGH
from serving.errors import NotAcceptableError
from serving.mediatypes import MediaType, negotiate

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
OFFERED = (JSON, CSV, NPY)


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("text/csv", "text/csv", {}),
        (" Text/CSV ;Charset=UTF-8", "text/csv", {"charset": "UTF-8"}),
        ('a/b; q = "0.5" ; x=y=z', "a/b", {"q": "0.5", "x": "y=z"}),
        ("a/b;", "a/b", {}),
        ("a/b; flag", "a/b", {}),
        ("", "", {}),
        (";=;", "", {"": ""}),
    ],
)
def test_a_media_type_is_read_whatever_its_spacing_case_and_quotes(
    text: str, name: str, parameters: dict[str, str]
) -> None:
    assert MediaType.parse(text) == MediaType(name, parameters)


@pytest.mark.parametrize(
    ("weight", "quality"),
    [("0.5", 0.5), ("1", 1), ("0", 0), ("0.000", 0), ("2", 1), ("-1", 0), ("", 1), ("high", 1), ("inf", 1)],
)
def test_a_weight_is_from_0_to_1_and_1_where_it_is_no_number(weight: str, quality: float) -> None:
    assert MediaType.parse(f"a/b;q={weight}").quality == quality


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("*", JSON),
        ("text/csv", CSV),
        ("TEXT/csv; charset=utf-8", CSV),
        ("text/*", CSV),
        ("application/*", JSON),
        ("text/csv, application/json", CSV),  # the one named first
        ("application/json, text/csv", JSON),
        ("text/csv;q=0.5, application/json;q=0.4", CSV),
        ("text/csv;q=0.5, application/json", JSON),
        ("*/*, text/csv;q=0.9", JSON),
        ("*/*;q=0.1, application/x-npy;q=0.2", NPY),
        ("application/json;q=0, */*", CSV),
        ("application/*;q=0, */*", CSV),
        ("application/*;q=0, application/x-npy", NPY),  # the closest range counts
        ("text/csv, */*", CSV),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
        (",, text/csv ,", CSV),
        ("text/csv;q=1.5", CSV),
        ("nonsense, text/csv", CSV),
    ],
)
def test_the_answer_is_in_the_type_that_is_wanted_most(accept: str, chosen: str) -> None:
    assert negotiate(accept, OFFERED, JSON) == chosen


@pytest.mark.parametrize("accept", ["", "*/*", "text/*, application/*"])
def test_the_default_comes_first_where_only_wildcards_match(accept: str) -> None:
    assert negotiate(accept, OFFERED, NPY) == NPY


@pytest.mark.parametrize(
    "accept", ["text/plain", "*/*;q=0", "text/csv;q=0", "json", "text/csv;q=0, text/*", "image/*", ";;;", "application"]
)
def test_nothing_acceptable_is_an_error_that_names_what_is_offered(accept: str) -> None:
    with pytest.raises(NotAcceptableError) as raised:
        negotiate(accept, OFFERED, JSON)
    assert all(name in raised.value.message for name in OFFERED)


def test_a_type_that_cannot_carry_the_answer_is_passed_over() -> None:
    assert negotiate("text/csv, */*;q=0.5", OFFERED, JSON, lambda name: "no" if name == CSV else "") == JSON


def test_a_header_that_leaves_no_other_type_is_refused_with_the_obstacle() -> None:
    with pytest.raises(NotAcceptableError, match="Accept: it carries one output; send for npz"):
        negotiate(NPY, OFFERED, JSON, lambda name: "it carries one output; send for npz" if name == NPY else "")


RANGES = st.sampled_from([*OFFERED, "*/*", "text/*", "application/*", "image/png"])
QUALITIES = st.integers(0, 4).map(lambda quarters: quarters / 4)


def by_the_book(accept: Sequence[tuple[str, float]], default: str) -> str | None:
    """RFC 9110's choice: the quality of a type is that of the first of the closest ranges."""

    def quality(name: str) -> float:
        for range_ in (name, name.partition("/")[0] + "/*", "*/*"):
            for candidate, weight in accept:
                if candidate == range_:
                    return weight
        return 0.0

    def named(name: str) -> int:
        names = [candidate for candidate, _ in accept]
        return names.index(name) if name in names else len(names)

    order = [default, *[name for name in OFFERED if name != default]]
    able = [name for name in order if quality(name)]
    return min(able, key=lambda name: (-quality(name), named(name), order.index(name)), default=None)


@THOROUGH
@given(
    accept=st.lists(st.tuples(RANGES, QUALITIES), min_size=1, max_size=6),
    default=st.sampled_from(OFFERED),
    blocked=st.sets(st.sampled_from(OFFERED)),
)
def test_the_choice_is_the_one_by_the_book(accept: list[tuple[str, float]], default: str, blocked: set[str]) -> None:
    header = ", ".join(f"{name};q={weight}" for name, weight in accept)
    expected = by_the_book(accept, default)
    if expected is None:
        with pytest.raises(NotAcceptableError):
            negotiate(header, OFFERED, default)
        return
    assert negotiate(header, OFFERED, default) == expected
    instead = by_the_book([*((name, 0.0) for name in blocked), *accept], default)  # the first of equals counts
    if instead is None:
        with pytest.raises(NotAcceptableError, match="Accept: cannot"):
            negotiate(header, OFFERED, default, lambda name: "cannot" if name in blocked else "")
    else:
        chosen = negotiate(header, OFFERED, default, lambda name: "cannot" if name in blocked else "")
        assert chosen not in blocked


@THOROUGH
@given(accept=st.text(max_size=60) | st.text("*/;,q=0.1 atextcsv", max_size=60))
def test_any_header_is_answered_or_not_acceptable(accept: str) -> None:
    try:
        chosen = negotiate(accept, OFFERED, JSON)
    except NotAcceptableError:
        return
    assert chosen in OFFERED
