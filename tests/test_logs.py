"""The log is one JSON object a line."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loggers import restored
from properties import MODERATE
from serving.logs import JsonFormatter, configure


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    with restored():
        yield


def entries(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_has_time_level_logger_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    configure(logging.INFO)
    logging.getLogger("serving.test").info("served %d of %s", 3, "ä\n")
    (entry,) = entries(capsys)
    assert entry | {"time": ""} == {
        "time": "",
        "level": "info",
        "logger": "serving.test",
        "message": "served 3 of ä\n",
    }
    time = datetime.fromisoformat(entry["time"])
    assert time.tzinfo == UTC
    assert abs(datetime.now(UTC) - time) < timedelta(minutes=1)


def test_a_traceback_is_on_the_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(logging.INFO)
    try:
        int("told")
    except ValueError:
        logging.getLogger("serving.test").exception("failed")
    (entry,) = entries(capsys)
    assert entry["level"] == "error"
    assert entry["traceback"].startswith("Traceback")
    assert entry["traceback"].endswith("literal for int() with base 10: 'told'")


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.ERROR])
def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str], level: int) -> None:
    configure(level)
    for each in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger("serving.test").log(each, "line")
    assert [entry["level"] for entry in entries(capsys)] == [
        name for name in ("debug", "info", "warning", "error") if logging.getLevelNamesMapping()[name.upper()] >= level
    ]


def test_uvicorn_says_only_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    configure(logging.INFO)
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert [entry["message"] for entry in entries(capsys)] == ["Invalid HTTP request received."]


def test_uvicorn_is_as_quiet_as_everything_else(capsys: pytest.CaptureFixture[str]) -> None:
    configure(logging.ERROR)
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert not entries(capsys)


@MODERATE
@given(message=st.text())
def test_any_message_is_one_line(message: str) -> None:
    line = JsonFormatter().format(logging.LogRecord("n", logging.INFO, "", 1, message, None, None))
    assert "\n" not in line
    assert "\r" not in line
    assert json.loads(line)["message"] == message
