"""Which model, version and signature a request's head asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidAttributeError
from serving.selection import METHODS, Selection, of_attributes, of_path


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", Selection()),
        ("tfs-model-name=half", Selection("half")),
        ("tfs-model-name=half,tfs-model-version=12,tfs-method=predict", Selection("half", 12)),
        (" TFS-Model-Version = 007 , other=1", Selection(None, 7)),
        ("tfs-method=classify", Selection(method="classify")),
        ("tfs-signature-name=tripled", Selection(signature="tripled")),
        ("tfs-model-name=,trace-id=a=b,,=,plain", Selection()),
    ],
)
def test_custom_attributes_are_read_and_those_of_others_passed_over(header: str, wanted: Selection) -> None:
    assert of_attributes(header) == wanted


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("tfs-model-version=1.0", "tfs-model-version: expected a number, got '1.0'"),
        ("tfs-model-version=", "tfs-model-version: expected a number, got ''"),
        ("tfs-model-version=\u00b2", "tfs-model-version: expected a number"),
        ("tfs-method=train", "tfs-method: expected one of predict, classify, regress, got 'train'"),
    ],
)
def test_what_cannot_be_read_is_told(header: str, complaint: str) -> None:
    with pytest.raises(InvalidAttributeError, match=complaint):
        of_attributes(header)


@given(st.text())
def test_any_header_is_read_or_refused(header: str) -> None:
    try:
        selection = of_attributes(header)
    except InvalidAttributeError:
        return
    assert selection.method in METHODS


def test_a_path_says_the_same() -> None:
    assert of_path("half", None, "predict") == of_attributes("tfs-model-name=half")
    assert of_path("half", "2", "regress") == of_attributes(
        "tfs-model-name=half,tfs-model-version=2,tfs-method=regress"
    )
    with pytest.raises(InvalidAttributeError, match="expected a number, got 'two'"):
        of_path("half", "two", "predict")
