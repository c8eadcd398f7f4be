"""How much memory is left, by the files that tell it."""

from pathlib import Path

import pytest

from serving.memory import available
from trees.machines import write

GIB = 1 << 30
V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"


SYSTEM = {"proc/meminfo": f"MemTotal: {8 * GIB // 1024} kB\nMemFree: 1000 kB\nMemAvailable: {4 * GIB // 1024} kB\n"}
GROUP_2 = {
    f"{V2}/memory.max": f"{2 * GIB}\n",
    f"{V2}/memory.current": f"{GIB}\n",
    f"{V2}/memory.stat": f"anon 5\nfile 7\ninactive_file {GIB // 2}\n",
}
GROUP_1 = {
    f"{V1}/memory.limit_in_bytes": f"{3 * GIB}\n",
    f"{V1}/memory.usage_in_bytes": f"{GIB}\n",
    f"{V1}/memory.stat": f"cache 7\ninactive_file 0\ntotal_inactive_file {GIB // 4}\n",
}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (SYSTEM, 4 * GIB),
        (SYSTEM | GROUP_2, GIB + GIB // 2),
        (SYSTEM | GROUP_1, 2 * GIB + GIB // 4),
        (GROUP_1, 2 * GIB + GIB // 4),
        (SYSTEM | GROUP_2 | {f"{V2}/memory.max": "max\n"}, 4 * GIB),
        # Version 1 writes no limit as the largest number of pages.
        (SYSTEM | GROUP_1 | {f"{V1}/memory.limit_in_bytes": "9223372036854771712\n"}, 4 * GIB),
        (SYSTEM | GROUP_2 | {f"{V2}/memory.stat": "garbled"}, GIB),
        ({"proc/meminfo": "\n\x00 MemAvailable: many\n"}, None),
        ({}, None),
    ],
)
def test_the_least_counts(tmp_path: Path, files: dict[str, str], found: int | None) -> None:
    for name, text in files.items():
        write(tmp_path, name, text)
    assert available(tmp_path) == found


def test_here_something_is_left() -> None:
    assert (available() or 0) > 0
