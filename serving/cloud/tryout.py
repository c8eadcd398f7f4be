"""Trying an archive out as the server will run it: unpacked, in processes of their own, before it travels anywhere."""

import json
import os
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from threading import Timer
from typing import Any

from serving import children
from serving.cloud.listing import ArchiveError
from serving.scripts.found import find_script

# Characters of the server's own words that are shown.
ERROR_LIMIT = 2000
# A script's requirements are installed and its model loaded within what SageMaker waits for a container.
START_SECONDS = 480.0
# SageMaker's from SIGTERM to SIGKILL.
STOP_SECONDS = 30.0
LOOPBACK = "127.0.0.1"
# What the server logs then.
READY = '"message": "ready"'


def try_out(archive: Path) -> str:
    """Load the archive and run its model; what came of it, in a sentence or two. Raises ArchiveError."""
    with tempfile.TemporaryDirectory(prefix="try-out-") as name:
        folder = Path(name)
        with tarfile.open(archive, "r:gz") as packed:
            packed.extractall(folder, filter="data")
        script = find_script(folder)
        if script and script.loads_model:
            _start_server(folder)
            return "Its script loads, and the model with it; it was not run."
        told = _run_model(folder)
        if script:
            _start_server(folder)
            told += " Its script loads."
    return told


def _run_model(folder: Path) -> str:
    command = children.command("inspect", "--json", str(folder))
    done = subprocess.run(  # noqa: S603 (this program)
        command, capture_output=True, text=True, check=False, env=children.environment(os.environ)
    )
    if done.returncode != 0:
        raise _failure(done.stderr, folder)
    document: Mapping[str, Any] = json.loads(done.stdout)
    rows = document["batching"]["warmed_rows"]
    if not rows:
        return f"The model loads, but was not run: {document['batching']['reason']}."
    return f"The model loads and answers: it ran on {', '.join(map(str, rows))} rows."


def _start_server(folder: Path) -> None:
    """Start the server, script and all, and stop it as soon as it is ready. Raises ArchiveError if it never is."""
    with socket.create_server((LOOPBACK, 0)) as free:
        port = free.getsockname()[1]
    settings = {"SERVING_HOST": LOOPBACK, "SAGEMAKER_BIND_TO_PORT": str(port), "SERVING_MODEL_DIR": str(folder)}
    environment = children.environment(os.environ, SAGEMAKER_CONTAINER_LOG_LEVEL="INFO", **settings)
    command = children.command("serve")
    lines = []
    ready = False
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:  # noqa: S603
        # A script may hang while it is imported.
        overdue = Timer(START_SECONDS, _end, (server,))
        overdue.start()
        for line in server.stderr or ():
            lines.append(line)
            if READY in line and not ready:
                ready = True
                server.terminate()
        overdue.cancel()
    if not ready:
        raise _failure("".join(lines), folder)


def _end(server: subprocess.Popen[str]) -> None:
    """End the server. Asked for it, it ends the script's processes too, which else hold the other end of its pipe."""
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()


def _failure(text: str, folder: Path) -> ArchiveError:
    """With the server's own words; where it has none but its log, with the end of that."""
    words = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("{"))
    said = (words or text).strip().replace(str(folder), "the archive")[-ERROR_LIMIT:]
    return ArchiveError(f"The model is not served, so no archive was made (--no-load makes one all the same): {said}")
