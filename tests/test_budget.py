"""The budget is what the affinity mask, the cores and every quota allow, rounded down and at least one."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import MODERATE
from serving.budget import Budget, cpu_budget
from trees import machines
from trees.cgroups import V1_AT, V2_AT, groups, mountinfo, v1_mount, v1_quota, v2_mount, v2_quota
from trees.machines import topology, write


def cpus(count: int) -> frozenset[int]:
    return frozenset(range(count))


def graviton(root: Path, count: int = 8) -> frozenset[int]:
    """A Graviton whose CPUs are all allowed; returns them."""
    machines.c7g(root, count)
    return cpus(count)


@pytest.mark.parametrize("machine", [machines.c6g, machines.c7g, machines.c8g, machines.m9g])
def test_every_cpu_of_a_graviton_is_a_core(tmp_path: Path, machine: Callable[[Path, int], None]) -> None:
    machine(tmp_path, 16)
    assert cpu_budget(tmp_path, cpus(16)) == Budget(cores=16, cpus=cpus(16), physical_cores=16)


@pytest.mark.parametrize("machine", [machines.c6i, machines.c7i])
def test_two_cpus_of_an_smt_machine_are_a_core(tmp_path: Path, machine: Callable[[Path, int], None]) -> None:
    machine(tmp_path, 8)
    budget = cpu_budget(tmp_path, cpus(8))
    assert (budget.cores, budget.physical_cores, len(budget.cpus)) == (4, 4, 8)


@pytest.mark.parametrize("file", ["core_cpus_list", "thread_siblings_list"])
@pytest.mark.parametrize(
    ("siblings", "affinity", "cores"),
    [
        (["0", "1", "2", "3"], {0, 1, 2, 3}, 4),
        (["0,2", "1,3", "0,2", "1,3"], {0, 1, 2, 3}, 2),
        (["0-1", "0-1", "2-3", "2-3"], {0, 1, 2, 3}, 2),
        (["0,2", "1,3", "0,2", "1,3"], {0, 1, 2}, 2),  # both threads of one core, one of the other
        (["0,2", "1,3", "0,2", "1,3"], {0, 2}, 1),
        (["0,2", "1,3", "0,2", "1,3"], {2, 3}, 2),
        (["0-3", "0-3", "0-3", "0-3"], {0, 1, 2, 3}, 1),  # four threads a core, as on POWER
        (["0-1,3", "0-1,3", "2", "0-1,3"], {0, 1, 2, 3}, 2),
    ],
)
def test_siblings(tmp_path: Path, file: str, siblings: list[str], affinity: set[int], cores: int) -> None:
    topology(tmp_path, siblings, file)
    assert cpu_budget(tmp_path, frozenset(affinity)).cores == cores


def test_an_affinity_subset_limits(tmp_path: Path) -> None:
    graviton(tmp_path, 16)
    assert cpu_budget(tmp_path, frozenset({3, 7, 11})).cores == 3


def test_without_topology_every_cpu_is_a_core_and_the_reason_says_so(tmp_path: Path) -> None:
    budget = cpu_budget(tmp_path, cpus(2))
    assert budget.cores == 2
    assert budget.reason == (
        "2 = 2 CPUs allowed, 2 physical cores, no quota; core topology of 2 CPUs unknown, each counted as a core"
    )


@pytest.mark.parametrize("text", ["", "0-", "garbled", "1", "0;2", "0-1-2", "-1", "9" * 5000])
def test_a_garbled_list_makes_a_cpu_a_core_of_its_own(tmp_path: Path, text: str) -> None:
    topology(tmp_path, [text, "1,2", "1,2"])
    budget = cpu_budget(tmp_path, cpus(3))
    assert budget.cores == 2
    assert "core topology of 1 CPU unknown, each counted as a core" in budget.reason


def test_a_huge_range_is_not_expanded(tmp_path: Path) -> None:
    topology(tmp_path, ["0-999999999", "0-999999999"])
    assert cpu_budget(tmp_path, cpus(2)).cores == 1


def test_unreadable_topology_is_one_note_for_all(tmp_path: Path) -> None:
    for cpu in range(3):
        (tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list").mkdir(parents=True)
    assert len(cpu_budget(tmp_path, cpus(3)).problems) == 1


@pytest.mark.parametrize(
    ("cpu_max", "cores", "quota"),
    [
        ("max 100000", 8, None),
        ("max", 8, None),
        ("400000 100000", 4, 4.0),
        ("390000 100000", 3, 3.9),
        ("50000 100000", 1, 0.5),
        ("3999999 1000000", 3, 3.999999),
        ("25000 10000", 2, 2.5),
        ("6400000 100000", 8, 64.0),
    ],
)
def test_v2_quota_is_rounded_down(tmp_path: Path, cpu_max: str, cores: int, quota: float | None) -> None:
    allowed = graviton(tmp_path)
    mountinfo(tmp_path, v2_mount())
    groups(tmp_path, "0::/")
    v2_quota(tmp_path, "", cpu_max)
    budget = cpu_budget(tmp_path, allowed)
    assert (budget.cores, budget.quota) == (cores, quota)
    assert budget.quota_source == (None if quota is None else "/sys/fs/cgroup/cpu.max")
    assert budget.problems == ()


@pytest.mark.parametrize(
    ("quota", "period", "cores"),
    [
        ("-1", "100000", 8),
        ("400000", "100000", 4),
        ("390000", "100000", 3),
        ("50000", "100000", 1),
        ("25000", "10000", 2),
    ],
)
def test_v1_quota_is_rounded_down(tmp_path: Path, quota: str, period: str, cores: int) -> None:
    allowed = graviton(tmp_path)
    mountinfo(tmp_path, v1_mount())
    groups(tmp_path, "4:memory:/", "3:cpu,cpuacct:/")
    v1_quota(tmp_path, "", quota, period)
    budget = cpu_budget(tmp_path, allowed)
    assert budget.cores == cores
    assert budget.problems == ()


def test_the_smallest_quota_of_all_ancestors_counts(tmp_path: Path) -> None:
    allowed = graviton(tmp_path)
    mountinfo(tmp_path, v2_mount())
    groups(tmp_path, "0::/kubepods/pod1/box")
    v2_quota(tmp_path, "kubepods", "700000 100000")
    v2_quota(tmp_path, "kubepods/pod1", "250000 100000")
    v2_quota(tmp_path, "kubepods/pod1/box", "max 100000")
    v2_quota(tmp_path, "kubepods/pod2", "100000 100000")  # a neighbour's
    budget = cpu_budget(tmp_path, allowed)
    assert (budget.cores, budget.quota_source) == (2, "/sys/fs/cgroup/kubepods/pod1/cpu.max")


def test_the_smallest_quota_of_all_ancestors_counts_in_v1(tmp_path: Path) -> None:
    allowed = graviton(tmp_path)
    mountinfo(tmp_path, v1_mount())
    groups(tmp_path, "3:cpuacct,cpu:/a/b")
    v1_quota(tmp_path, "", "-1")
    v1_quota(tmp_path, "a", "500000")
    v1_quota(tmp_path, "a/b", "300000")
    assert cpu_budget(tmp_path, allowed).cores == 3


def test_a_path_told_from_outside_means_the_mount(tmp_path: Path) -> None:
    # A container without a cgroup namespace whose own group is all that it sees.
    allowed = graviton(tmp_path)
    mountinfo(tmp_path, v2_mount())
    groups(tmp_path, "0::/system.slice/docker-0a1b.scope")
    v2_quota(tmp_path, "", "200000 100000")
    assert cpu_budget(tmp_path, allowed).cores == 2


def test_a_bind_mounted_group_is_found_below_its_root(tmp_path: Path) -> None:
    # Docker on cgroup v1: the mount's root is the container's group, the path is the host's.
    allowed = graviton(tmp_path)
    mountinfo(tmp_path, v1_mount(root="/docker/0a1b"))
    groups(tmp_path, "3:cpu,cpuacct:/docker/0a1b/child")
    v1_quota(tmp_path, "", "500000")
    v1_quota(tmp_path, "child", "300000")
    v1_quota(tmp_path, "docker/0a1b/child", "100000")  # a group inside that happens to be called so
    assert cpu_budget(tmp_path, allowed).cores == 3


@pytest.mark.parametrize("path", ["/../other", "/../../a/..", "", "relative", "/elsewhere"])
def test_a_path_outside_of_what_is_mounted_means_the_mount(tmp_path: Path, path: str) -> None:
    allowed = graviton(tmp_path)
    mountinfo(tmp_path, v2_mount(root="/pod"))
    groups(tmp_path, f"0::{path}")
    v2_quota(tmp_path, "", "200000 100000")
    v2_quota(tmp_path, "other", "100000 100000")
    v2_quota(tmp_path, "elsewhere", "100000 100000")
    assert cpu_budget(tmp_path, allowed).cores == 2


def test_the_mount_of_somebody_elses_group_does_not_limit(tmp_path: Path) -> None:
    allowed = graviton(tmp_path)
    mountinfo(tmp_path, v2_mount("/watched", root="/../neighbour"), v2_mount())
    groups(tmp_path, "0::/")
    v2_quota(tmp_path, "", "100000 100000", at="/watched")
    v2_quota(tmp_path, "", "600000 100000")
    assert cpu_budget(tmp_path, allowed).cores == 6


def test_a_mount_in_an_unusual_place(tmp_path: Path) -> None:
    allowed = graviton(tmp_path)
    mountinfo(tmp_path, v1_mount("/mnt/my\\040groups", controllers="cpu"))
    groups(tmp_path, "3:cpu:/a")
    v1_quota(tmp_path, "a", "300000", at="/mnt/my groups")
    budget = cpu_budget(tmp_path, allowed)
    assert (budget.cores, budget.quota_source) == (3, "/mnt/my groups/a/cpu.cfs_quota_us")


def test_hybrid_mounts_with_the_quota_in_v1(tmp_path: Path) -> None:
    allowed = graviton(tmp_path)
    mountinfo(tmp_path, v1_mount(), v1_mount("/sys/fs/cgroup/memory", "/", "memory"), v2_mount(f"{V2_AT}/unified"))
    groups(tmp_path, "9:memory:/box", "3:cpu,cpuacct:/box", "1:name=systemd:/x", "0::/x")
    write(tmp_path, f"{V2_AT}/unified/x/cgroup.procs", "1\n")
    v1_quota(tmp_path, "box", "200000")
    v1_quota(tmp_path, "box", "100000", at="/sys/fs/cgroup/memory")  # not the CPU controller's
    assert cpu_budget(tmp_path, allowed).cores == 2


def test_both_versions_bind(tmp_path: Path) -> None:
    allowed = graviton(tmp_path)
    mountinfo(tmp_path, v1_mount(), v2_mount(f"{V2_AT}/unified"))
    groups(tmp_path, "3:cpu,cpuacct:/", "0::/")
    v1_quota(tmp_path, "", "600000")
    v2_quota(tmp_path, "", "500000 100000", at=f"{V2_AT}/unified")
    assert cpu_budget(tmp_path, allowed).cores == 5


@pytest.mark.parametrize("at", [V1_AT, "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpuacct,cpu"])
def test_v1_without_mountinfo_is_looked_for_where_it_usually_is(tmp_path: Path, at: str) -> None:
    allowed = graviton(tmp_path)
    v1_quota(tmp_path, "", "300000", at=at)
    assert cpu_budget(tmp_path, allowed).cores == 3


def test_v2_without_mountinfo_is_looked_for_where_it_usually_is(tmp_path: Path) -> None:
    allowed = graviton(tmp_path)
    groups(tmp_path, "0::/a")
    v2_quota(tmp_path, "a", "300000 100000")
    assert cpu_budget(tmp_path, allowed).cores == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbled",
        "50000",
        "0 100000",
        "50000 0",
        "-5 100000",
        "1 2 3",
        "1e3 1e3",
        "9" * 400 + " 1",
        "nan 1",
    ],
)
def test_a_garbled_v2_quota_limits_nothing_and_is_told(tmp_path: Path, text: str) -> None:
    allowed = graviton(tmp_path)
    v2_quota(tmp_path, "", text)
    budget = cpu_budget(tmp_path, allowed)
    assert (budget.cores, budget.quota) == (8, None)
    assert budget.problems == (
        f"/sys/fs/cgroup/cpu.max ignored: expected a quota and a period in microseconds, got {text[:40]!r}",
    )


@pytest.mark.parametrize(("quota", "period"), [("", "100000"), ("x", "100000"), ("5", ""), ("5", "0"), ("5 5", "5")])
def test_a_garbled_v1_quota_limits_nothing_and_is_told(tmp_path: Path, quota: str, period: str) -> None:
    allowed = graviton(tmp_path)
    mountinfo(tmp_path, v1_mount())
    v1_quota(tmp_path, "", quota, period)
    budget = cpu_budget(tmp_path, allowed)
    assert budget.cores == 8
    assert "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us ignored: expected" in budget.reason


def test_a_v1_quota_without_its_period_limits_nothing(tmp_path: Path) -> None:
    allowed = graviton(tmp_path)
    mountinfo(tmp_path, v1_mount())
    write(tmp_path, f"{V1_AT}/cpu.cfs_quota_us", "200000\n")
    budget = cpu_budget(tmp_path, allowed)
    assert budget.cores == 8
    assert "got '200000'" in budget.reason


def test_an_unreadable_file_limits_nothing_and_is_told(tmp_path: Path) -> None:
    allowed = graviton(tmp_path)
    (tmp_path / "sys/fs/cgroup/cpu.max").mkdir(parents=True)
    budget = cpu_budget(tmp_path, allowed)
    assert budget.reason == (
        "8 = 8 CPUs allowed, 8 physical cores, no quota; /sys/fs/cgroup/cpu.max ignored: Is a directory"
    )


def test_a_garbled_ancestor_does_not_hide_the_others(tmp_path: Path) -> None:
    allowed = graviton(tmp_path)
    groups(tmp_path, "0::/a/b")
    v2_quota(tmp_path, "a", "garbled")
    v2_quota(tmp_path, "a/b", "300000 100000")
    budget = cpu_budget(tmp_path, allowed)
    assert budget.cores == 3
    assert len(budget.problems) == 1


def test_cores_and_quota_both_limit(tmp_path: Path) -> None:
    machines.c7i(tmp_path, 8)
    v2_quota(tmp_path, "", "600000 100000")
    assert cpu_budget(tmp_path, cpus(8)).cores == 4, "a quota of six on four cores"
    v2_quota(tmp_path, "", "300000 100000")
    assert cpu_budget(tmp_path, cpus(8)).cores == 3


def test_reason_tells_every_part(tmp_path: Path) -> None:
    machines.c7i(tmp_path, 8)
    v2_quota(tmp_path, "", "450000 100000")
    assert cpu_budget(tmp_path, cpus(8)).reason == (
        "4 = 8 CPUs allowed, 4 physical cores, quota 4.5 -> 4 (/sys/fs/cgroup/cpu.max)"
    )


def test_reason_of_less_than_one_cpu(tmp_path: Path) -> None:
    machines.c6g(tmp_path, 1)
    v2_quota(tmp_path, "", "50000 100000")
    assert cpu_budget(tmp_path, cpus(1)).reason == (
        "1 = 1 CPU allowed, 1 physical core, quota 0.5 -> 1 (/sys/fs/cgroup/cpu.max)"
    )


def test_reason_stays_on_one_line(tmp_path: Path) -> None:
    allowed = graviton(tmp_path)
    mountinfo(tmp_path, v2_mount("/odd\\012place"))
    v2_quota(tmp_path, "", "300000 100000", at="/odd\nplace")
    assert cpu_budget(tmp_path, allowed).reason.endswith("quota 3 -> 3 ('/odd\\nplace/cpu.max')")


def test_the_own_affinity_mask_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {2, 5}, raising=False)
    assert cpu_budget(tmp_path).cpus == {2, 5}


@pytest.mark.parametrize(("count", "expected"), [(6, 6), (None, 1)])
def test_without_affinity_masks_every_cpu_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int | None, expected: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert cpu_budget(tmp_path).cores == expected


def test_an_empty_mask_still_computes(tmp_path: Path) -> None:
    assert cpu_budget(tmp_path, frozenset()).cores == 1


def test_this_machine_has_a_budget() -> None:
    budget = cpu_budget()
    assert 1 <= budget.cores <= len(budget.cpus)
    assert budget.reason.startswith(f"{budget.cores} = ")


NUMBERS = st.integers(-2, 2**70).map(str) | st.sampled_from(["max", "100000"]) | st.text()
PATHS = st.lists(st.sampled_from(["a", "..", "", "b c"]) | st.text(), max_size=4).map("/".join)
FILES = st.fixed_dictionaries(
    {},
    optional={
        "proc/self/cgroup": st.builds("0::/{}\n1:cpu:/{}\n".format, PATHS, PATHS) | st.text(),
        "proc/self/mountinfo": st.builds(
            "1 2 0:3 /{} {} rw - {} x rw,cpu\n".format,
            PATHS,
            st.sampled_from(["/sys/fs/cgroup", "/sys/fs/cgroup/cpu", "/\\000", "/" + "x" * 300]) | st.text(),
            st.sampled_from(["cgroup", "cgroup2"]),
        )
        | st.text(),
        "sys/fs/cgroup/cpu.max": st.builds("{} {}\n".format, NUMBERS, NUMBERS),
        "sys/fs/cgroup/a/cpu.max": st.builds("{} {}\n".format, NUMBERS, NUMBERS),
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": NUMBERS,
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": NUMBERS,
        "sys/devices/system/cpu/cpu0/topology/core_cpus_list": st.sampled_from(["0,2", "0-3"]) | st.text(),
        "sys/devices/system/cpu/cpu2/topology/thread_siblings_list": st.sampled_from(["0,2", "2"]) | st.text(),
    },
)


@MODERATE
@given(files=FILES, affinity=st.frozensets(st.integers(0, 4), min_size=1))
def test_whatever_the_files_hold_the_budget_is_within_the_mask(files: dict[str, str], affinity: frozenset[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
        budget = cpu_budget(Path(folder), affinity)
    assert 1 <= budget.cores <= budget.physical_cores <= len(affinity)
    assert budget.cpus == affinity
    assert len(budget.reason.splitlines()) == 1


@MODERATE
@given(quota=st.integers(1, 10**9), period=st.integers(1000, 10**6), count=st.integers(1, 64))
def test_a_quota_is_never_exceeded_by_a_core(quota: int, period: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        v2_quota(Path(folder), "", f"{quota} {period}")
        assert cpu_budget(Path(folder), cpus(count)).cores == max(1, min(count, quota // period))
