"""How many threads may compute at once here: the CPU budget.

    cores = max(1, min(physical cores among the allowed CPUs, floor(quota)))

* Allowed CPUs: the affinity mask, which a cpuset narrows too.
* Physical cores: two hardware threads of one core share its multipliers, so a second computing thread adds
  next to nothing. Every vCPU of a Graviton is a core; on x86 instances two vCPUs usually are one.
* Quota: a container with `--cpus=4` on a 64-core host sees 64 CPUs and is stopped for the rest of each period
  once it has used 4 CPUs' worth of it. The frameworks do not look (XGBoost and scikit-learn do). It is
  rounded down because the threads of one matrix product wait for each other: one too many stops them all.
  Every ancestor's quota binds, so the smallest counts. Shares and weights are no limits and are not read.

Where a quota is written differs between cgroup v1, v2 and both at once, and with how much of the hierarchy
the container sees. /proc/self/mountinfo says what is mounted where and /proc/self/cgroup which group this is;
a group's directory is the mount point plus what its path has beyond the mount's root. Directories that are
not there are walked past upwards, so a container that is told a path it cannot see still finds its mount.
"""

import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final, NamedTuple

V1: Final = 1
V2: Final = 2
# Where systemd, and the container engines after it, mount the hierarchies: used if mountinfo names none.
USUAL_MOUNTS: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType(
    {
        V2: ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
        V1: ("/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpuacct,cpu"),
    }
)
# "<quota or max> <period>" in one file, or one number in each of two; Linux Documentation,
# admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst.
QUOTA_FILES: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType(
    {V2: ("cpu.max",), V1: ("cpu.cfs_quota_us", "cpu.cfs_period_us")}
)
# core_cpus_list is the newer name (Linux 5.3) of the same list.
SIBLING_FILES: Final = ("core_cpus_list", "thread_siblings_list")
MICROSECONDS: Final = re.compile(r"[1-9][0-9]{0,18}")
"""A quota or a period; the kernel's numbers have 64 bits, so anything longer is not one."""
NO_QUOTA: Final = (["max"], ["-1"])
"""How v2 and v1 write that there is none."""
CPU_RANGE: Final = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
OCTAL_ESCAPE: Final = re.compile(r"\\([0-7]{3})")
"""mountinfo writes spaces, tabs, newlines and backslashes in paths so (proc(5))."""
QUOTE_LIMIT: Final = 40
"""Characters of a garbled file that a message shows."""


class Budget(NamedTuple):
    """The number of threads that may compute at once, and what it was computed from."""

    cores: int
    """The budget: at least 1, and at most one per physical core."""
    cpus: frozenset[int]
    """The CPUs that this process may run on: logical ones, hardware threads counted singly."""
    physical_cores: int
    """Distinct cores among `cpus`; a core counts if one of its hardware threads is allowed."""
    quota: float | None = None
    """CPU seconds per second that the smallest cgroup quota grants; None if there is no quota."""
    quota_source: str | None = None
    """The file that `quota` was read from."""
    problems: tuple[str, ...] = ()
    """What could not be read or understood, and so limits nothing."""

    @property
    def reason(self) -> str:
        """One line for a person: "4 = 8 CPUs allowed, 4 physical cores, quota 4.5 -> 4 (/sys/...)"."""
        quota = "no quota"
        if self.quota is not None:
            quota = f"quota {self.quota:.10g} -> {_whole(self.quota)} ({_printable(self.quota_source or '')})"
        cpus, cores = _count(len(self.cpus), "CPU"), _count(self.physical_cores, "physical core")
        return "; ".join((f"{self.cores} = {cpus} allowed, {cores}, {quota}", *self.problems))


def cpu_budget(root: Path = Path("/"), affinity: frozenset[int] | None = None) -> Budget:
    """The budget of this process, from its affinity mask and the files under `root`/proc and `root`/sys.

    Never raises on what it finds: a file that is missing limits nothing, and one that is unreadable or
    garbled limits nothing and is named in the `reason`. Off Linux every CPU is allowed and counts as a core.

    Args:
        root: Where proc and sys are mounted.
        affinity: The numbers of the CPUs allowed; this process's own mask if None.
    """
    cpus = _own_affinity() if affinity is None else affinity
    files = _Files(root)
    physical_cores = _physical_cores(files, cpus)
    quota, source = min(_quotas(files), default=(None, None))
    cores = max(1, physical_cores if quota is None else min(physical_cores, _whole(quota)))
    return Budget(cores, cpus, physical_cores, quota, source, tuple(files.problems))


class _Files:
    """Reads files under a root by their absolute names; collects what went wrong."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[str] = []

    def text(self, name: str) -> str | None:
        """The file's text; None if there is no such file or it cannot be read."""
        try:
            return (self.root / name.lstrip("/")).read_bytes().decode("utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:  # ValueError: a NUL in a name out of a garbled file
            self.problem(name, getattr(error, "strerror", None) or str(error))
            return None

    def lines(self, name: str) -> list[str]:
        return (self.text(name) or "").split("\n")

    def problem(self, name: str, what: str) -> None:
        self.problems.append(f"{_printable(name)} ignored: {what}")


def _own_affinity() -> frozenset[int]:
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))  # macOS has no affinity masks


def _physical_cores(files: _Files, cpus: frozenset[int]) -> int:
    """The number of distinct cores; a CPU whose siblings are not known is a core of its own."""
    quiet = _Files(files.root)  # one line about all CPUs, not one about each
    siblings = {cpu: _siblings(quiet, cpu, cpus) for cpu in cpus}
    unknown = list(siblings.values()).count(None)
    if unknown:
        files.problems.append(f"core topology of {_count(unknown, 'CPU')} unknown, each counted as a core")
    return len({found or frozenset({cpu}) for cpu, found in siblings.items()})


def _siblings(files: _Files, cpu: int, among: frozenset[int]) -> frozenset[int] | None:
    """Those of `among` that share a core with `cpu`, itself included; None if that is not known.

    A list reads "3", "0,4", "0-1" or any mixture. Nothing is ever expanded: a garbled range may be huge.
    """
    for name in SIBLING_FILES:
        text = files.text(f"/sys/devices/system/cpu/cpu{cpu}/topology/{name}")
        ranges = [CPU_RANGE.fullmatch(part.strip()) for part in (text or "").split(",")]
        bounds = [(int(match[1]), int(match[2] or match[1])) for match in ranges if match]
        siblings = frozenset(other for other in among if any(low <= other <= high for low, high in bounds))
        if all(ranges) and cpu in siblings:
            return siblings
    return None


def _quotas(files: _Files) -> Iterator[tuple[float, str]]:
    """Every quota that binds this process, in CPUs, with the file it stands in."""
    groups = _groups(files)
    mounts = list(_mounts(files))
    for version, usual in USUAL_MOUNTS.items():
        found = [mount for mount in mounts if mount.version == version]
        fallback = [_Mount(version, "/", at) for at in usual]
        for directory in _directories(found or fallback, groups.get(version, "/")):
            yield from _quota(files, [f"{directory}/{name}" for name in QUOTA_FILES[version]])


def _quota(files: _Files, names: list[str]) -> Iterator[tuple[float, str]]:
    """The quota that one group has of its own, if it has one."""
    texts = [files.text(name) for name in names]
    words = " ".join(text or "" for text in texts).split()
    if texts[0] is None or words[:1] in NO_QUOTA:
        return
    if len(words) == len(("quota", "period")) and all(map(MICROSECONDS.fullmatch, words)):
        yield int(words[0]) / int(words[1]), names[0]
    else:
        got = " ".join(words)[:QUOTE_LIMIT]
        files.problem(names[0], f"expected a quota and a period in microseconds, got {got!r}")


class _Mount(NamedTuple):
    """One mount of the hierarchy that has the CPU controller (v1), or of the only one (v2)."""

    version: int
    root: str
    """The group that is seen at the mount point."""
    at: str


def _mounts(files: _Files) -> Iterator[_Mount]:
    """From mountinfo: "31 23 0:28 ROOT POINT options [optional]... - TYPE source superoptions" (proc(5))."""
    for line in files.lines("/proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        where, what = before.split(" "), after.split(" ")
        if len(where) < 6 or len(what) < 3:  # noqa: PLR2004 - the fields named above
            continue
        root, at = (OCTAL_ESCAPE.sub(lambda match: chr(int(match[1], 8)), path) for path in where[3:5])
        if what[0] == "cgroup2":
            yield _Mount(V2, root, at)
        elif what[0] == "cgroup" and "cpu" in what[2].split(","):
            yield _Mount(V1, root, at)


def _groups(files: _Files) -> dict[int, str]:
    """This process's group by cgroup version, from "0::PATH" (v2) and "4:cpu,cpuacct:PATH" (v1)."""
    groups = {}
    for line in files.lines("/proc/self/cgroup"):
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon and number == "0" and not controllers:
            groups[V2] = path
        elif colon and "cpu" in controllers.split(","):
            groups[V1] = path
    return groups


def _directories(mounts: list[_Mount], group: str) -> list[str]:
    """The directories of the group and of its ancestors, each once, as far up as the mounts reach.

    A mount whose root is not above the group shows somebody else's groups (a monitoring container has such).
    If there is no other, the group's path is one told from outside, and the mount point must be meant.
    """
    above = [(at, below) for _, root, at in mounts if (below := _below(root, group)) is not None]
    seen = above or [(mount.at, PurePosixPath()) for mount in mounts]
    names = [str(PurePosixPath(at) / step) for at, below in seen for step in (below, *below.parents)]
    return list(dict.fromkeys(names))


def _below(root: str, group: str) -> PurePosixPath | None:
    """What the group's path has beyond the root; None if it is not below it. "." for the root itself."""
    path = PurePosixPath(group)
    if ".." in path.parts or not path.is_relative_to(root):  # "/../x": outside of this cgroup namespace
        return None
    return path.relative_to(root)


def _whole(quota: float) -> int:
    """The quota in whole CPUs, at least one: half a CPU still has to compute with one thread."""
    return max(1, math.floor(quota))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _printable(name: str) -> str:
    return name if name.isprintable() else repr(name)
