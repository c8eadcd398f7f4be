"""The pool with real workers, each a process of its own with a script made for the test."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import loops
from harness.processes import is_alive
from serving.errors import (
    DeadlineExceededError,
    InvalidAttributeError,
    ModelLoadError,
    NotReadyError,
    OverloadedError,
    ScriptFailedError,
)
from serving.scripts.found import Script
from serving.scripts.frames import MAX_HEAD_BYTES, Frame
from serving.scripts.pool import Pool
from serving.scripts.process import Launch, Worker, WorkerError

PATIENCE = 60.0
"""Seconds after which a test that hangs fails."""
HEAD = {
    "content_type": "",
    "accept": "",
    "custom_attributes": None,
    "model_name": None,
    "model_version": None,
    "method": None,
    "rest_uri": "",
    "timeout": PATIENCE,
}
# What a request's body says is what happens.
ACTOR = """
import os, signal, subprocess, time
from pathlib import Path

def handler(data, context):
    order, _, rest = data.read().decode().partition(" ")
    if order == "pid":
        return str(os.getpid()), None
    if order == "exit":
        os._exit(int(rest))
    if order == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if order == "hang":
        Path(rest).write_text(str(os.getpid()))
        time.sleep(1000)
    if order == "gate":  # wait until somebody writes to the named pipe
        return Path(rest).read_text(), None
    if order == "child":
        return str(subprocess.Popen(["sleep", "1000"]).pid), None
    if order == "orphan":  # a child that keeps the socket open beyond its parent's end
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(5)
    if order == "environment":
        return os.environ.get(rest, "-"), None
    return order + rest, None
"""


def ask(text: str) -> Frame:
    return Frame(HEAD, text.encode())


class Health:
    """What a pool reports."""

    def __init__(self) -> None:
        self.reports: asyncio.Queue[bool] = asyncio.Queue()

    def __call__(self, runs: bool) -> None:
        self.reports.put_nowait(runs)


@pytest.fixture
def script(tmp_path: Path) -> Script:
    (tmp_path / "inference.py").write_text(ACTOR)
    return Script(tmp_path / "inference.py", None, None)


@asynccontextmanager
async def pool_of(
    script: Script,
    *,
    workers: int = 1,
    max_waiting: int = 1000,
    deadline: float = PATIENCE,
    health: Callable[[bool], None] = lambda _: None,
    environment: Mapping[str, str] = os.environ,
) -> AsyncIterator[Pool]:
    launch = Launch(script, None, environment)
    counted: list[int] = []
    pool = Pool(
        lambda: Worker.start(launch),
        workers=workers,
        max_waiting=max_waiting,
        timeout=deadline,
        waiting=counted.append,
        report=health,
    )
    await pool.open()
    try:
        yield pool
    finally:
        await pool.stop(0)
    assert counted[-1:] in ([], [0])


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loops.on_a_loop(test, PATIENCE)


async def said(pool: Pool, text: str) -> str:
    return (await pool.run(ask(text))).body.decode()


async def until_gone(pid: int) -> None:
    """Wait until a process is gone, or is only waiting to be collected by whoever inherited it."""
    await until(lambda: not is_alive(pid))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (another process makes it true)
        await asyncio.sleep(0.01)


async def told(file: Path) -> int:
    """The process that has written its number to the file."""
    await until(lambda: file.is_file() and bool(file.read_text()))
    return await asyncio.to_thread(lambda: int(file.read_text()))


def test_many_at_once_each_get_their_own_answer(script: Script) -> None:
    async def test() -> None:
        async with pool_of(script, workers=3) as pool:
            answers = await asyncio.gather(*(said(pool, f"number{n}") for n in range(200)))
            assert answers == [f"number{n}" for n in range(200)]

    on_a_loop(test)


def test_large_bodies_go_both_ways(script: Script) -> None:
    async def test() -> None:
        async with pool_of(script, workers=2) as pool:
            bodies = ["x" * (5 * 2**20 + n) for n in range(4)]
            assert await asyncio.gather(*(said(pool, body) for body in bodies)) == bodies

    on_a_loop(test)


def test_requests_are_dealt_to_all_workers(script: Script) -> None:
    async def test() -> None:
        async with pool_of(script, workers=3) as pool:
            assert len({await said(pool, "pid") for _ in range(3)}) == 3

    on_a_loop(test)


@pytest.mark.parametrize(
    ("order", "how"), [("exit 3", "status 3"), ("crash", "signal SIGSEGV"), ("orphan", "status 5")]
)
def test_a_worker_that_ends_fails_its_own_request_alone_and_is_replaced(
    script: Script, order: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with pool_of(script) as pool:
            first = await said(pool, "pid")
            guilty, *others = await asyncio.gather(
                *(pool.run(ask(text)) for text in (order, "a", "b")), return_exceptions=True
            )
            assert isinstance(guilty, ScriptFailedError)
            assert others == [Frame({"content_type": "application/json"}, text) for text in (b"a", b"b")]
            assert await said(pool, "pid") != first

    with caplog.at_level(logging.WARNING):
        on_a_loop(test)
    assert f"ended with {how} and is replaced" in caplog.text


def test_headers_that_are_too_large_are_refused_and_cost_no_worker(script: Script) -> None:
    async def test() -> None:
        async with pool_of(script) as pool:
            pid = await said(pool, "pid")
            with pytest.raises(InvalidAttributeError, match="headers"):
                await pool.run(Frame({**HEAD, "accept": "x" * MAX_HEAD_BYTES}))
            assert await said(pool, "pid") == pid

    on_a_loop(test)


def test_a_worker_that_was_killed_is_given_no_more(script: Script) -> None:
    async def test() -> None:
        worker = await Worker.start(Launch(script, None, os.environ))
        assert worker.is_alive
        worker.kill()
        assert not worker.is_alive
        with pytest.raises(WorkerError, match="signal SIGKILL"):
            await worker.ask(ask("a"))

    on_a_loop(test)


def test_at_the_deadline_a_worker_that_hangs_is_killed_and_replaced(script: Script, tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(script, deadline=1.0) as pool:
            hanging = asyncio.create_task(pool.run(ask(f"hang {tmp_path / 'pid'}")))
            pid = await told(tmp_path / "pid")
            with pytest.raises(DeadlineExceededError, match="within 1 s"):
                await hanging
            await until_gone(pid)
            assert await said(pool, "after") == "after"

    on_a_loop(test)


def test_the_deadline_counts_from_the_arrival_not_from_the_turn(script: Script, tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(script, deadline=1.0) as pool:
            outcomes = await asyncio.gather(
                pool.run(ask(f"hang {tmp_path / 'pid'}")), pool.run(ask("late")), return_exceptions=True
            )
            assert [type(outcome) for outcome in outcomes] == [DeadlineExceededError] * 2

    on_a_loop(test)


def test_a_caller_that_leaves_while_waiting_is_never_run(script: Script, tmp_path: Path) -> None:
    async def test() -> None:
        os.mkfifo(tmp_path / "gate")
        async with pool_of(script) as pool:
            first = asyncio.create_task(said(pool, f"gate {tmp_path / 'gate'}"))
            leaving = asyncio.create_task(said(pool, "exit 3"))
            await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.to_thread((tmp_path / "gate").write_text, "opened")
            assert await first == "opened"
            pid = await said(pool, "pid")
            assert await said(pool, "pid") == pid  # nobody has ended it

    on_a_loop(test)


def test_a_caller_that_leaves_while_its_request_runs_costs_nobody_else(script: Script, tmp_path: Path) -> None:
    async def test() -> None:
        os.mkfifo(tmp_path / "gate")
        async with pool_of(script) as pool:
            pid = await said(pool, "pid")
            leaving = asyncio.create_task(said(pool, f"gate {tmp_path / 'gate'}"))
            staying = asyncio.create_task(said(pool, "pid"))
            await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.to_thread((tmp_path / "gate").write_text, "opened")
            assert await staying == pid

    on_a_loop(test)


def test_too_many_that_wait_are_refused_at_once_and_later_ones_are_taken(script: Script, tmp_path: Path) -> None:
    async def test() -> None:
        os.mkfifo(tmp_path / "gate")
        async with pool_of(script, max_waiting=2) as pool:
            first = asyncio.create_task(said(pool, f"gate {tmp_path / 'gate'}"))
            waiting = [asyncio.create_task(said(pool, text)) for text in ("a", "b")]
            await asyncio.sleep(0)
            with pytest.raises(OverloadedError):
                await pool.run(ask("c"))
            await asyncio.to_thread((tmp_path / "gate").write_text, "opened")
            assert await asyncio.gather(first, *waiting) == ["opened", "a", "b"]
            assert await said(pool, "d") == "d"

    on_a_loop(test)


def test_stopping_waits_for_what_was_taken_and_takes_no_more(script: Script, tmp_path: Path) -> None:
    async def test() -> None:
        os.mkfifo(tmp_path / "gate")
        async with pool_of(script) as pool:
            pid = int(await said(pool, "pid"))
            first = asyncio.create_task(said(pool, f"gate {tmp_path / 'gate'}"))
            waiting = asyncio.create_task(said(pool, "b"))
            await asyncio.sleep(0)
            stopping = asyncio.create_task(pool.stop(PATIENCE))
            await asyncio.sleep(0)
            with pytest.raises(NotReadyError, match="stopping"):
                await pool.run(ask("c"))
            await asyncio.to_thread((tmp_path / "gate").write_text, "opened")
            assert (await first, await waiting) == ("opened", "b")
            await stopping
            await until_gone(pid)

    on_a_loop(test)


def test_stopping_does_not_wait_for_ever(script: Script, tmp_path: Path) -> None:
    async def test() -> None:
        async with pool_of(script) as pool:
            hanging = asyncio.create_task(pool.run(ask(f"hang {tmp_path / 'pid'}")))
            pid = await told(tmp_path / "pid")
            await pool.stop(0.1)
            with pytest.raises(ScriptFailedError):
                await hanging
            await until_gone(pid)

    on_a_loop(test)


def test_what_a_script_has_started_ends_with_its_worker(script: Script) -> None:
    async def test() -> None:
        async with pool_of(script) as pool:
            child = int(await said(pool, "child"))
            with pytest.raises(ScriptFailedError):
                await pool.run(ask("exit 0"))
            await until_gone(child)

    on_a_loop(test)


def test_a_worker_that_ends_without_a_request_is_replaced_too(script: Script) -> None:
    async def test() -> None:
        async with pool_of(script) as pool:
            child, first = int(await said(pool, "child")), int(await said(pool, "pid"))
            os.kill(first, signal.SIGKILL)  # as the kernel does when memory runs out
            await until_gone(child)
            assert int(await said(pool, "pid")) != first

    on_a_loop(test)


def test_an_end_of_the_scripts_own_runs_when_the_server_stops(script: Script, tmp_path: Path) -> None:
    async def test() -> None:
        script.file.write_text(
            f"{ACTOR}\nimport atexit\natexit.register(lambda: Path({str(tmp_path / 'end')!r}).write_text('end'))\n"
        )
        async with pool_of(script) as pool:
            assert await said(pool, "a") == "a"
        assert (tmp_path / "end").read_text() == "end"

    on_a_loop(test)


@pytest.mark.parametrize(
    ("text", "complaint", "logged"),
    [
        ("def handler(data context): ...", "SyntaxError: invalid syntax", "def handler(data context)"),
        ("import nothing_like_this", "ModuleNotFoundError: No module named 'nothing_like_this'", "inference.py"),
        ("raise SystemExit(4)", "SystemExit: 4", "raise SystemExit(4)"),
        ("import os; os._exit(7)", "its process ended with status 7", "status 7"),
        ("x = 1", "It defines no function. Expected: handler", "It defines no function"),
    ],
)
def test_a_script_that_cannot_be_loaded_is_said_with_its_traceback_in_the_log(
    script: Script, text: str, complaint: str, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    script.file.write_text(text)

    async def test() -> None:
        with pytest.raises(ModelLoadError, match="The script cannot be run") as raised:
            async with pool_of(script, workers=2):
                pass
        assert complaint in str(raised.value)

    on_a_loop(test)
    assert logged in caplog.text
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


def test_a_script_that_cannot_be_started_again_is_reported_and_so_is_its_return(script: Script) -> None:
    async def test() -> None:
        health = Health()
        async with pool_of(script, health=health) as pool:
            script.file.write_text("raise RuntimeError('gone')")
            with pytest.raises(ScriptFailedError):
                await pool.run(ask("exit 1"))
            assert await health.reports.get() is False
            with pytest.raises(NotReadyError, match="cannot be started"):
                await pool.run(ask("a"))
            script.file.write_text(ACTOR)
            assert await health.reports.get() is True
            assert await said(pool, "a") == "a"

    on_a_loop(test)


@pytest.mark.parametrize(
    ("variable", "set_to", "seen"),
    [
        ("OMP_NUM_THREADS", None, "1"),
        ("OMP_NUM_THREADS", "3", "3"),
        ("TF_NUM_INTRAOP_THREADS", None, "1"),
        ("no_proxy", "internal.example", "internal.example,localhost,127.0.0.1,::1"),
        ("MY_OWN", "value", "value"),
    ],
)
def test_the_environment_of_a_worker(
    script: Script, monkeypatch: pytest.MonkeyPatch, variable: str, set_to: str | None, seen: str
) -> None:
    monkeypatch.delenv(variable, raising=False)

    async def test() -> None:
        given = {} if set_to is None else {variable: set_to}
        async with pool_of(script, environment=os.environ | given) as pool:
            assert await said(pool, f"environment {variable}") == seen

    on_a_loop(test)
