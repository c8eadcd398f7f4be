"""One arena of ONNX Runtime's for all sessions: what runs need for their intermediate results, kept from run to run.

A session has one of its own else, as large as its largest run. Wide runs and narrow ones take turns, and so can use the
same memory: with EfficientNet and up to 8 rows in each of them 340 MB instead of 410 (docs/performance.md).
"""

from functools import cache
from typing import Any

import onnxruntime as ort

# The session's option to use what is registered instead of an arena of its own.
REGISTERED = "session.use_env_allocators"
# The run's option that frees the parts of an arena in which nothing is in use when it ends, and of which device.
SHRINKAGE, CPU = "memory.enable_memory_arena_shrinkage", "cpu:0"


def use_arena(options: Any) -> None:  # noqa: ANN401 (onnxruntime is not typed)
    """Have a session with these `ort.SessionOptions` use the arena."""
    _register()
    options.enable_cpu_mem_arena = True
    options.add_session_config_entry(REGISTERED, "1")


def shrinking() -> Any:  # noqa: ANN401 (onnxruntime is not typed)
    """`ort.RunOptions` with which the arena gives back, after the run, what is free then."""
    options = ort.RunOptions()
    options.add_run_config_entry(SHRINKAGE, CPU)
    return options


@cache
def _register() -> None:
    """Once: a second one would be the arena of later sessions alone."""
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, None)  # None: as a session's own is configured
