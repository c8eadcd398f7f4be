"""One copy of a model's weights for several of ONNX Runtime's sessions.

A session of its own for each way to run a model would have the weights of its own, too. So ONNX Runtime writes
them down once, as its kernels want them (packed for the matrix products), and every session maps that file into
memory: the kernel keeps one copy of a file's pages for all. The file has no name any more when it is mapped.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort

from serving.backends import NotDivisibleError
from serving.memory import available
from serving.scratch import scratch

GRAPH = "graph.onnx"
WEIGHTS = "weights.bin"
# What writes the weights beside the graph: all of at least so many bytes, and as the kernels have packed them.
WRITING = {
    "session.optimized_model_external_initializers_file_name": WEIGHTS,
    "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
    "session.save_external_prepacked_constant_initializers": "1",
}
# The weights as they are and as they are packed, and as much again for the disk not to be full.
ROOM = 3
# For the moment in which it is written: a session with its weights as they are and as they are packed, and the file
# itself, which a /tmp in memory keeps there.
MEMORY = 5
# A larger model would take longer to write than it is worth, and a container's disk is small.
MOST_BYTES = 1 << 30

# Makes a session of a model file with these options.
Load = Callable[[Path, Any], Any]


def shared(path: Path, write: Load, options: Sequence[Any], read: Load) -> list[Any]:
    """A session for each of the options, with one copy of the weights.

    Args:
        path: the model file.
        write: makes a session of it, as it would for itself; given options that also write the model down.
        options: `ort.SessionOptions` of the sessions wanted.
        read: makes a session of what was written.

    Raises:
        NotDivisibleError: there is no room for the file or for writing it, or ONNX Runtime cannot write this model.
    """
    # External data lies beside the model.
    size = sum(file.stat().st_size for file in path.parent.iterdir() if file.is_file())
    if size > MOST_BYTES:
        raise NotDivisibleError(f"expected a model of at most {MOST_BYTES >> 20} MB, got {size >> 20} MB")
    try:
        with scratch() as folder:
            _check_room(folder, size)
            _check_memory(size)
            _write(path, folder, write)
            return [_read(folder, wanted, read) for wanted in options]
    except NotDivisibleError:
        raise
    except Exception as error:  # ONNX Runtime has no class for its errors but Exception's own
        raise NotDivisibleError(f"ONNX Runtime does not write this model down: {error}") from error


def _check_room(folder: Path, size: int) -> None:
    from shutil import disk_usage  # noqa: PLC0415 (with what it imports 2 ms of every start)

    room = disk_usage(folder).free
    if room < ROOM * size:
        raise NotDivisibleError(f"expected room for {ROOM * size >> 20} MB in {folder.parent}, got {room >> 20} MB")


def _check_memory(size: int) -> None:
    """A container that exceeds its limit is killed, and its requests with it."""
    left = available()
    if left is not None and left < MEMORY * size:
        raise NotDivisibleError(f"expected {MEMORY * size >> 20} MB of memory for a moment, got {left >> 20} MB")


def _write(path: Path, folder: Path, write: Load) -> None:
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(folder / GRAPH)
    for key, value in WRITING.items():
        options.add_session_config_entry(key, value)
    write(path, options)


def _read(folder: Path, options: Any, read: Load) -> Any:  # noqa: ANN401 (onnxruntime is not typed)
    # All of that has been done to what was written.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return read(folder / GRAPH, options)
