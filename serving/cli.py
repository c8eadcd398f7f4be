"""The command line: `python -m serving COMMAND`, also installed as `graviton-serving COMMAND`.

`serve`, which is what containers run, begins here; all other commands, and every option, are in `serving.commands`. To
make their parser takes 6 ms, which a small model's way to readiness would be longer by.
"""

import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType, SimpleNamespace
from typing import Any

from serving import logs
from serving.settings import SettingError, Settings, from_environment

USAGE_STATUS = 2
SERVE = ["serve"]


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 1 when it failed, 2 when it was called wrongly."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = SimpleNamespace(command=serve, quietest=logging.NOTSET) if words == SERVE else _parsed(words)
    try:
        settings = from_environment(os.environ)
    except SettingError as error:
        sys.stderr.write(f"{error}.\n")
        return USAGE_STATUS
    logs.configure(max(settings.log_level, options.quietest))
    status: int = options.command(options, settings)
    return status


def _parsed(words: Sequence[str]) -> Any:  # noqa: ANN401 (argparse's own type, which is not imported for `serve`)
    from serving.commands import parser  # noqa: PLC0415 (see above)

    return parser().parse_args(words)


def serve(_options: Any, settings: Settings) -> int:  # noqa: ANN401 (as above)
    """Serve the model until told to stop."""
    # Until the server has its own handlers: the kernel keeps from process 1 every signal that it does not handle.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_before_the_start)
    # What is made until the model is served stays. To look through it for what does not, again and again while it is
    # made, takes a fifteenth of a small model's way to readiness. (`serving.starter` enables it.)
    gc.disable()
    from serving import launch  # noqa: PLC0415 (each command imports only what it needs)

    return launch.serve(settings)


def _exit_before_the_start(_number: int, _frame: FrameType | None) -> None:
    # The loader's thread may be in the middle of a framework's own code, which must not see the interpreter go away.
    os._exit(0)
