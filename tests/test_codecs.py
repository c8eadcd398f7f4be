"""The table of formats: found by content type, and which of them can carry a model's answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import THOROUGH
from serving.codecs import Form, formats, of_content_type
from serving.errors import ArrayTooLargeError, UnsupportedMediaTypeError
from serving.settings import MEDIA_TYPES
from serving.signature import TensorSpec
from signatures import giving, one_input, sequence, spec

KNOWN = formats(1000)
BY_TYPE = {entry.media_type: entry for entry in KNOWN}


def test_there_is_a_format_for_each_that_settings_may_name() -> None:
    assert tuple(BY_TYPE) == MEDIA_TYPES


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        ("application/json", "application/json"),
        ("", "application/json"),
        ("  ", "application/json"),
        ("Application/JSON", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ("application/json;charset=UTF-8", "application/json"),
        ('application/json ; Charset="utf-8"', "application/json"),
        ("text/csv; charset=us-ascii; header=absent", "text/csv"),
        ("text/csv;label_size=0", "text/csv"),
        ("application/jsonlines", "application/jsonlines"),
        ("application/x-jsonlines", "application/jsonlines"),
        ("application/jsons", "application/jsonlines"),
        ("application/x-ndjson; charset=utf8", "application/jsonlines"),
        ("application/x-npy", "application/x-npy"),
        ("application/X-NPZ", "application/x-npz"),
    ],
)
def test_a_content_type_finds_its_format_whatever_its_case_and_parameters(header: str, media_type: str) -> None:
    assert of_content_type(header, KNOWN).media_type == media_type


@pytest.mark.parametrize(
    "header",
    ["text/plain", "json", "application", "application/xml", "*/*", "application/jsonx", ";", "application/pickle"],
)
def test_other_content_types_are_unsupported_and_the_supported_ones_named(header: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError) as raised:
        of_content_type(header, KNOWN)
    assert all(media_type in raised.value.message for media_type in MEDIA_TYPES)


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "", "nonsense"])
def test_a_charset_other_than_utf8_is_unsupported(charset: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError, match="charset: expected utf-8"):
        of_content_type(f"text/csv; charset={charset}", KNOWN)


@THOROUGH
@given(header=st.text(st.characters(max_codepoint=255), max_size=60))
def test_any_header_finds_a_format_or_is_unsupported(header: str) -> None:
    try:
        found = of_content_type(header, KNOWN)
    except UnsupportedMediaTypeError:
        return
    assert found in KNOWN


TENSOR, SCALAR, MAPS, OTHER = spec("y"), spec("total", shape=()), sequence(), sequence("pair", "other")


@pytest.mark.parametrize(
    ("outputs", "able"),
    [
        ((TENSOR,), set(MEDIA_TYPES)),
        ((SCALAR,), set(MEDIA_TYPES)),
        ((TENSOR, SCALAR), {"application/json", "application/jsonlines", "application/x-npz"}),
        ((TENSOR, MAPS), {"application/json", "application/jsonlines"}),
        ((OTHER,), {"application/json", "application/jsonlines"}),
    ],
)
def test_which_formats_can_carry_which_outputs(outputs: tuple[TensorSpec, ...], able: set[str]) -> None:
    signature = giving(*outputs)
    assert {name for name, entry in BY_TYPE.items() if not entry.obstacle(signature)} == able


def test_an_obstacle_names_the_format_that_has_none() -> None:
    several = giving(TENSOR, SCALAR)
    assert "application/x-npz" in BY_TYPE["application/x-npy"].obstacle(several)
    assert "application/json" in BY_TYPE["text/csv"].obstacle(several)
    assert "application/json" in BY_TYPE["application/x-npz"].obstacle(giving(MAPS))


@pytest.mark.parametrize("media_type", ["application/x-npy", "application/x-npz"])
def test_the_payload_limit_bounds_what_files_claim(media_type: str) -> None:
    entry = BY_TYPE[media_type]
    assert entry.encode is not None
    body = entry.encode({"x": np.zeros((100, 3), np.float32)}, Form.COLUMN, 100)
    with pytest.raises(ArrayTooLargeError):
        entry.decode(body, one_input())
