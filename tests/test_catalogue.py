"""The models in service are found by name, version and signature."""

from typing import TYPE_CHECKING, cast

import pytest

from serving.catalogue import Catalogue, Entry, Serving
from serving.errors import UnknownModelError, UnknownSignatureError, UnsupportedMethodError
from serving.selection import Selection
from signatures import TWO_INPUTS, one_input

if TYPE_CHECKING:
    from serving.dispatcher import Dispatcher


class Closed:
    """Notes that it was closed; the catalogue calls nothing else."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def entry(name: str, version: int, *signatures: str) -> Entry:
    served = {each: Serving(one_input(), cast("Dispatcher", Closed())) for each in signatures or ("serving_default",)}
    return Entry(name, version, next(iter(served)), served)


HALF_3, HALF_1, TRIPLE = entry("half", 3), entry("half", 1, "serving_default", "other"), entry("triple", 1)
CATALOGUE = Catalogue([HALF_3, HALF_1, TRIPLE])


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (Selection(), HALF_3),
        (Selection("half"), HALF_3),
        (Selection(version=1), HALF_1),
        (Selection("half", 1), HALF_1),
        (Selection("triple"), TRIPLE),
    ],
)
def test_what_is_asked_for_is_found(selection: Selection, wanted: Entry) -> None:
    assert CATALOGUE.find(selection) is wanted


@pytest.mark.parametrize(
    ("selection", "complaint"),
    [
        (Selection("double"), "expected one of the models 'half', 'triple', got 'double'"),
        (Selection(version=2), "model 'half': expected one of the versions 3, 1, got 2"),
        (Selection("triple", 3), "model 'triple': expected one of the versions 1, got 3"),
    ],
)
def test_what_is_not_served_is_told_with_what_is(selection: Selection, complaint: str) -> None:
    with pytest.raises(UnknownModelError) as raised:
        CATALOGUE.find(selection)
    assert raised.value.message == complaint


def test_other_methods_need_other_models() -> None:
    with pytest.raises(UnsupportedMethodError, match="expected predict, got classify"):
        CATALOGUE.find(Selection(method="classify"))


def test_signatures_are_found_by_name() -> None:
    assert HALF_1.signature(None) is HALF_1.signatures["serving_default"]
    assert HALF_1.signature("other") is HALF_1.signatures["other"]
    with pytest.raises(UnknownSignatureError, match="expected one of the signatures 'serving_default', got 'other'"):
        TRIPLE.signature("other")


def test_a_model_whose_signature_has_no_name_takes_any() -> None:
    nameless = Entry("model", 1, "", {"": Serving(TWO_INPUTS, cast("Dispatcher", Closed()))})
    assert nameless.signature("any").signature is TWO_INPUTS


def test_closing_closes_all() -> None:
    one, other = entry("a", 1, "x", "y"), entry("b", 1)
    Catalogue([one, other]).close()
    closed = [cast("Closed", s.dispatcher).closed for e in (one, other) for s in e.signatures.values()]
    assert closed == [True, True, True]
