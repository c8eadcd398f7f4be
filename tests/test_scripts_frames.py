"""The wire format: what goes in comes out, and what is no frame is said."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import MODERATE
from serving.scripts.frames import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    PREFIX,
    Frame,
    FrameError,
    lengths,
    packed,
    read,
    unpacked,
    write,
)

heads = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()))
frames = st.builds(Frame, heads, st.binary())


def written(*sent: Frame) -> bytes:
    stream = io.BytesIO()
    for frame in sent:
        write(stream, frame)
    return stream.getvalue()


@MODERATE
@given(sent=st.lists(frames))
def test_frames_come_out_as_they_went_in_and_then_the_end(sent: list[Frame]) -> None:
    stream = io.BytesIO(written(*sent))
    assert [read(stream) for _ in sent] == sent
    assert read(stream) is None


@MODERATE
@given(frame=frames, data=st.data())
def test_a_frame_that_breaks_off_is_said(frame: Frame, data: Any) -> None:  # noqa: ANN401 (hypothesis's own)
    whole = written(frame)
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(FrameError, match="and the end"):
        read(io.BytesIO(whole[:cut]))


@MODERATE
@given(noise=st.binary(min_size=1))
def test_noise_is_a_frame_or_an_error(noise: bytes) -> None:
    try:
        frame = read(io.BytesIO(noise))
    except FrameError:
        return
    assert isinstance(frame, Frame)


@pytest.mark.parametrize("head", [b"[]", b"1", b"{", b"", b"\xff"])
def test_a_head_that_is_no_object_is_said(head: bytes) -> None:
    with pytest.raises(FrameError, match="expected a JSON object"):
        unpacked(head, b"")


@pytest.mark.parametrize(("head", "body"), [(MAX_HEAD_BYTES + 1, 0), (0, MAX_BODY_BYTES + 1)])
def test_lengths_that_make_no_sense_are_not_allocated(head: int, body: int) -> None:
    with pytest.raises(FrameError, match="at most"):
        lengths(PREFIX.pack(head, body))


def test_a_head_that_is_too_large_is_not_sent() -> None:
    with pytest.raises(FrameError, match="at most"):
        packed(Frame({"x": "x" * MAX_HEAD_BYTES}))


def test_the_body_is_not_encoded() -> None:
    body = bytes(range(256))
    assert written(Frame({}, body)) == PREFIX.pack(2, 256) + b"{}" + body
