"""What the routes share."""

import logging

import pytest

from serving.lifecycle import Lifecycle
from serving.service import Service
from serving.settings import Settings


@pytest.mark.parametrize(("media_type", "used"), [("text/csv", "text/csv"), ("", "application/json")])
def test_the_format_of_answers_may_be_set(media_type: str, used: str) -> None:
    service = Service(Settings(), Lifecycle())
    service._prefer(media_type)
    assert service.default_accept == used


def test_a_format_that_is_not_written_is_told_and_left(caplog: pytest.LogCaptureFixture) -> None:
    service = Service(Settings(), Lifecycle())
    with caplog.at_level(logging.WARNING):
        service._prefer("text/html")
    assert service.default_accept == "application/json"
    (told,) = caplog.messages
    assert "is text/html, which is not written here: answers are application/json" in told
