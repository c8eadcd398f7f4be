"""The error table: every class its own stable code, every message short and safe."""

import inspect
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import MODERATE
from serving import errors
from serving.errors import MESSAGE_LIMIT, QUOTE_LIMIT, ServingError, quoted

TABLE = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, ServingError)]

# Programs may depend on these: a change here is a change of the interface.
RELEASED = {
    "array_too_large": 413,
    "bad_request": 400,
    "deadline_exceeded": 504,
    "empty_batch": 400,
    "empty_body": 400,
    "inexact_value": 400,
    "internal_error": 500,
    "invalid_csv": 400,
    "invalid_json": 400,
    "invalid_libsvm": 400,
    "invalid_recordio": 400,
    "invalid_npy": 400,
    "invalid_npz": 400,
    "method_not_allowed": 405,
    "missing_input": 400,
    "model_failed": 500,
    "model_rejected_input": 400,
    "not_acceptable": 406,
    "not_found": 404,
    "not_ready": 503,
    "object_npy": 400,
    "overloaded": 503,
    "body_timeout": 408,
    "payload_too_large": 413,
    "ragged_array": 400,
    "truncated_npy": 400,
    "script_failed": 500,
    "script_rejected_input": 400,
    "unknown_input": 400,
    "unknown_signature": 400,
    "invalid_attribute": 400,
    "unsupported_method": 400,
    "unknown_model": 404,
    "unsupported_media_type": 415,
    "unreadable_body": 415,
    "wrong_dimension": 400,
    "wrong_rank": 400,
    "wrong_type": 400,
}


def test_codes_and_statuses_are_the_released_ones_and_each_code_has_one_class() -> None:
    assert sorted((kind.code, int(kind.status)) for kind in TABLE) == sorted(RELEASED.items())


@pytest.mark.parametrize("kind", TABLE)
def test_no_error_is_a_success(kind: type[ServingError]) -> None:
    assert kind.status >= HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("kind", TABLE)
def test_every_class_has_a_text_of_its_own_or_of_its_parent(kind: type[ServingError]) -> None:
    assert kind().message
    assert kind("what, expected, got").body == {"code": kind.code, "error": "what, expected, got"}
    assert list(kind().body) == ["code", "error"]


@MODERATE
@given(length=st.integers(MESSAGE_LIMIT - 2, MESSAGE_LIMIT + 2) | st.just(10**6))
def test_a_message_stays_within_its_limit(length: int) -> None:
    message = ServingError("m" * length).message
    assert len(message) == min(length, MESSAGE_LIMIT)
    assert message.endswith("…") == (length > MESSAGE_LIMIT)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@MODERATE
@given(value=json_values | st.binary())
def test_a_quoted_value_is_printable_on_one_line_and_short(value: object) -> None:
    text = quoted(value)
    assert 0 < len(text) <= QUOTE_LIMIT
    assert text.isprintable()


def test_short_values_are_quoted_whole() -> None:
    assert quoted("pixel") == "'pixel'"
    assert quoted(["a", "b"]) == "['a', 'b']"


def test_a_quoted_value_may_be_nested_as_deep_as_the_parsers_let_it() -> None:
    nested: list[object] = []
    for _ in range(1024):
        nested = [nested]
    assert len(quoted({"a": nested})) <= QUOTE_LIMIT


def test_quoting_a_large_value_does_not_write_it_out() -> None:
    written = []

    class Element:
        def __repr__(self) -> str:
            written.append(self)
            return "e"

    quoted([Element() for _ in range(10_000)])
    assert len(written) <= QUOTE_LIMIT
