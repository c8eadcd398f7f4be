"""The AWS account that these tests work in, and the command line upon it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from harness.aws import IMAGE, MODEL, ROLE, Account, account
from loggers import restored
from serving.cli import run


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An account, in which nothing takes its time."""
    monkeypatch.setattr("serving.cloud.endpoints.POLL_SECONDS", 0.0)
    monkeypatch.setattr("serving.cloud.invocation.POLL_SECONDS", 0.0)
    with account(monkeypatch) as held:
        yield held


class Done(NamedTuple):
    """What came of a command."""

    status: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command of the program, which never shows a traceback."""

    def called(*words: str) -> Done:
        capsys.readouterr()
        with restored():
            status = run(words)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Done(status, out, err)

    return called


@pytest.fixture
def deploy(command: Command) -> Command:
    """Runs `deploy` for the endpoint `digits`, with what else is given; the last word of an option counts."""

    def called(*words: str) -> Done:
        return command("deploy", "--name", "digits", "--image", IMAGE, "--model-data", MODEL, "--role", ROLE, *words)

    return called
