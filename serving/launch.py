"""The beginning of a server: the port is bound, the model begins to load, and then is imported what answers.

SageMaker must be able to connect within 250 ms of asking, and the kernel takes connections from the moment in which the
port is bound; `/ping` must answer within 2 s. Whatever is imported before the framework holds the model up, and
whatever is imported while the framework loads it costs nothing where there is a second core. So asyncio and uvloop
come after the framework, but no later than `PATIENCE`: TensorFlow's import takes some seconds, others
some on a disk that has not been read yet.
"""

import socket
import sys

from serving.allocator import keep_freed_memory
from serving.lifecycle import Lifecycle
from serving.settings import Settings
from serving.starter import Starter

# Seconds, of the 2 that a health check waits. ONNX Runtime and numpy take 0.1 to import.
PATIENCE = 0.3
# Connections that wait for the loop to accept them; the kernel caps it at net.core.somaxconn.
BACKLOG = 2048


def serve(settings: Settings) -> int:
    """Serve until told to stop. Returns the process's exit status."""
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        sys.stderr.write(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Is another server running "
            "there? SERVING_PORT chooses another port.\n"
        )
        return 1
    keep_freed_memory()
    starter = Starter(settings, Lifecycle())
    starter.start()
    starter.wait_for_framework(PATIENCE)
    try:
        from serving.server import run  # noqa: PLC0415 (see above)

        return run(settings, listener, starter)
    finally:
        starter.release()


def listen(host: str, port: int) -> socket.socket:
    """A bound, listening socket: from here on connections are accepted, if not yet answered."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)
