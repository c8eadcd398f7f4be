"""A worker's main loop: load the script, then answer one request after the other until the server is gone.

The server talks to it over one socket, in frames. stdout and stderr are the server's own, so what a script
prints is in the container's log. A failure in the script is told to the server and is not the worker's end;
a script that ends its process, or crashes it, is noticed by the server at the socket's other end.
"""

import atexit
import ctypes
import importlib.util
import json
import logging
import os
import re
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, NoReturn

from serving.scripts import hooks, tfs
from serving.scripts.contract import OK, PARAMETERS, PARAMETERS_FN, Call, Contract, Handler, ScriptError
from serving.scripts.found import LIBRARIES
from serving.scripts.frames import Frame, read, write

log = logging.getLogger(__name__)

COMMAND = "_script-worker"
CONTRACTS: Sequence[Contract] = (tfs, hooks)
# AWS's toolkits, which scripts import and which are not installed.
SHIMMED = re.compile(rb"\bsagemaker_(?:inference|containers|xgboost_container)\b")
# Linux: have the kernel send a signal when the parent dies (prctl(2)).
PR_SET_PDEATHSIG = 1
# Absolute paths, but not those in a URL.
PATHS = re.compile(r"(?<![\w.:/])/(?:[\w.@+-]+/)+[\w.@+-]*")
# A script may put the model's whole answer into its exception. Callers get less still.
TEXT_LIMIT = 4096
TRACEBACK_LIMIT = 65_536
TRACEBACK = "Traceback (most recent call last)"


def run(descriptor: int, file: Path, module_path: Sequence[str]) -> NoReturn:
    """Do a worker's whole work; `descriptor` is the socket to the server."""
    _die_with_the_server()
    os.set_inheritable(descriptor, False)  # noqa: FBT003 (its one argument)
    with socket.socket(fileno=descriptor) as connection:
        _work(connection.makefile("rb"), connection.makefile("wb"), file, module_path)
    # What a script has registered for the end is done; threads that it has left behind are not waited for.
    atexit._run_exitfuncs()  # noqa: SLF001 (sys.exit would wait for threads)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _work(requests: BinaryIO, answers: BinaryIO, file: Path, module_path: Sequence[str]) -> None:
    try:
        handler = load(file, module_path)
    except BaseException as error:  # noqa: BLE001 (a script may raise anything, SystemExit too; the server is told)
        write(answers, Frame({"failed": _reason(error), "traceback": _script_traceback(error)}))
        requests.read(1)  # the server's end
        return
    write(answers, Frame({"loaded": str(file), PARAMETERS: parameters(sys.modules[file.stem])}))
    while (frame := read(requests)) is not None:
        write(answers, answer(handler, frame))


def load(file: Path, module_path: Sequence[str]) -> Handler:
    """Import the script and find its handlers. Raises ScriptError, and whatever the script raises."""
    sys.path[:0] = module_path
    if asked := _toolkits(file.parent):
        # For those that ask for them alone: numpy is not every script's.
        from serving.scripts import shims  # noqa: PLC0415

        shims.offer(asked)
    sys.argv[:] = [str(file)]  # the command line is no business of the script's
    # A helper that imports it by its name gets this one and not a second copy.
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None  # it is given for every .py file  # noqa: S101
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return _handler(module)


def _toolkits(folder: Path) -> frozenset[str]:
    """Those of AWS's packages that a script or a module beside it names; not what its libraries name."""
    files = (path for path in folder.rglob("*.py") if path.relative_to(folder).parts[0] != LIBRARIES)
    return frozenset(name.decode() for path in files for name in SHIMMED.findall(path.read_bytes()))


def parameters(module: ModuleType) -> dict[str, Any] | None:
    """What the script says of Batch Transform, a JSON object, as in AWS's scikit-learn container; else None."""
    function = getattr(module, PARAMETERS_FN, None)
    if not callable(function):
        return None
    try:
        given = function()
        text = given.get_data() if hasattr(given, "get_data") else given
        told = json.loads(text) if isinstance(text, str | bytes) else text
    except Exception:
        log.exception("%s of the script failed; nothing is made of it", PARAMETERS_FN)
        return None
    if isinstance(told, dict):
        return told
    log.warning("%s: expected a JSON object to be returned, got %s", PARAMETERS_FN, type(told).__name__)
    return None


def answer(handler: Handler, frame: Frame) -> Frame:
    """What the script makes of a request: its answer, or why there is none."""
    try:
        made = handler(Call.of_head(frame.head, frame.body))
    except (Exception, SystemExit) as error:
        log.exception("the script failed on a request")
        return Frame({"error": public(error), "status": status_of(error)})
    head: dict[str, Any] = {"content_type": made.content_type}
    if made.status != OK:
        head["status"] = made.status
    if made.headers:
        head["headers"] = dict(made.headers)
    return Frame(head, made.body)


def public(error: BaseException) -> str:
    """The part of a script's exception that may reach callers; empty for none of it.

    Its text, as AWS's container answers it: authors write it for their callers ("unsupported content type").
    Not that of operating system errors, which is about files and hosts; and no paths, no tracebacks.
    """
    if isinstance(error, OSError | SystemExit):
        return ""
    text = str(error)[:TEXT_LIMIT]
    return "" if TRACEBACK in text else PATHS.sub("…", text)


def status_of(error: BaseException) -> int:
    """The status that an exception asks for, as those of AWS's toolkits do; 500 for any other."""
    asked = getattr(error, "status", None) or getattr(error, "status_code", None)
    return int(asked) if isinstance(asked, int) and 400 <= asked < 600 else 500  # noqa: PLR2004 (HTTP's errors)


def _handler(module: ModuleType) -> Handler:
    for contract in CONTRACTS:
        if (found := contract.handler(module)) is not None:
            return found
    expected = "; ".join(contract.EXPECTED for contract in CONTRACTS)
    functions = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    raise ScriptError(f"It defines {', '.join(functions) or 'no function'}. Expected: {expected}.")


def _reason(error: BaseException) -> str:
    """Why the script could not be loaded, for the operator."""
    if isinstance(error, ScriptError):
        return str(error)
    return "".join(traceback.format_exception_only(error)).strip()[:TEXT_LIMIT]


def _script_traceback(error: BaseException) -> str:
    """The traceback from the script on; empty where the script itself has not failed."""
    return "" if isinstance(error, ScriptError) else "".join(traceback.format_exception(error))[-TRACEBACK_LIMIT:]


def _die_with_the_server() -> None:
    """However the server ends, have the kernel end this process too, even while the script hangs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
