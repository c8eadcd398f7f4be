"""The cgroup half of a tree: who is mounted where, which group this process is in, and the groups' quotas."""

from pathlib import Path
from typing import Final

from trees.machines import write

V2_AT: Final = "/sys/fs/cgroup"
V1_AT: Final = "/sys/fs/cgroup/cpu,cpuacct"


def v2_mount(at: str = V2_AT, root: str = "/") -> str:
    """A line of mountinfo: cgroup v2 at `at`, showing the group `root`."""
    return f"35 25 0:30 {root} {at} rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


def v1_mount(at: str = V1_AT, root: str = "/", controllers: str = "cpu,cpuacct") -> str:
    """A line of mountinfo: one hierarchy of cgroup v1 at `at`, showing the group `root`."""
    return f"36 25 0:31 {root} {at} ro,nosuid,nodev,noexec,relatime shared:15 - cgroup cgroup rw,{controllers}\n"


def mountinfo(root: Path, *lines: str) -> None:
    """Writes /proc/self/mountinfo, between mounts that have nothing to do with cgroups."""
    before = "25 1 259:1 / / rw,noatime shared:1 - xfs /dev/nvme0n1p1 rw,attr2\n"
    after = "60 25 0:50 / /dev/shm rw,nosuid,nodev - tmpfs shm rw,size=65536k\n"
    write(root, "/proc/self/mountinfo", "".join((before, *lines, after)))


def groups(root: Path, *lines: str) -> None:
    """Writes /proc/self/cgroup out of lines such as "0::/a/b"."""
    write(root, "/proc/self/cgroup", "".join(f"{line}\n" for line in lines))


def v2_quota(root: Path, group: str, cpu_max: str, at: str = V2_AT) -> None:
    """Writes a group's cpu.max; `group` is seen from the mount point."""
    write(root, f"{at}/{group}/cpu.max", f"{cpu_max}\n")


def v1_quota(root: Path, group: str, quota: str, period: str = "100000", at: str = V1_AT) -> None:
    """Writes a group's quota and period; `group` is seen from the mount point."""
    write(root, f"{at}/{group}/cpu.cfs_quota_us", f"{quota}\n")
    write(root, f"{at}/{group}/cpu.cfs_period_us", f"{period}\n")
