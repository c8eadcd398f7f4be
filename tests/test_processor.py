"""Processors are named by their core and used by their flags, and nothing in /proc stops the program."""

import platform
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import MODERATE
from serving.processor import ARM_FEATURES, X86_FEATURES, Processor, detect
from trees import machines
from trees.machines import arm_core, cpuinfo, midr, write, x86_core

GRAVITON2_FEATURES = frozenset({"atomics", "asimdhp", "asimddp"})
GRAVITON3_FEATURES = GRAVITON2_FEATURES | {"sve", "svei8mm", "svebf16", "i8mm", "bf16"}
GRAVITON4_FEATURES = GRAVITON3_FEATURES | {"sve2"}
C6I_FEATURES = frozenset({"avx2", "avx512f", "avx512_vnni"})
CAPABILITIES = ("has_arm_bf16", "has_arm_i8mm", "has_x86_bf16", "has_amx_bf16", "has_amx_int8")


def capabilities(processor: Processor) -> set[str]:
    return {name for name in CAPABILITIES if getattr(processor, name)}


@pytest.mark.parametrize(
    ("machine", "processor"),
    [
        (machines.c6g, Processor("aarch64", "Graviton2", "Neoverse-N1", 0xD0C, GRAVITON2_FEATURES)),
        (machines.c7g, Processor("aarch64", "Graviton3", "Neoverse-V1", 0xD40, GRAVITON3_FEATURES)),
        (machines.c8g, Processor("aarch64", "Graviton4", "Neoverse-V2", 0xD4F, GRAVITON4_FEATURES)),
        (machines.m9g, Processor("aarch64", "Graviton5", "Neoverse-V3", 0xD84, GRAVITON4_FEATURES)),
    ],
)
def test_graviton(tmp_path: Path, machine: Callable[[Path], None], processor: Processor) -> None:
    machine(tmp_path)
    found = detect(tmp_path, "aarch64")
    assert found == processor
    assert capabilities(found) == (set() if machine is machines.c6g else {"has_arm_bf16", "has_arm_i8mm"})


def test_graviton_without_the_register_is_known_from_cpuinfo(tmp_path: Path) -> None:
    # As under an emulator of single programs, which shows the host's /sys.
    cpuinfo(tmp_path, arm_core(0, "0xd40", machines.GRAVITON3))
    assert detect(tmp_path, "aarch64").name == "Graviton3"


def test_both_parts_of_graviton5(tmp_path: Path) -> None:
    cpuinfo(tmp_path, arm_core(0, "0xd83", machines.GRAVITON5))
    found = detect(tmp_path, "aarch64")
    assert (found.name, found.core) == ("Graviton5", "Neoverse-V3AE")


def test_the_register_wins_over_cpuinfo(tmp_path: Path) -> None:
    cpuinfo(tmp_path, arm_core(0, "0xd0c", machines.GRAVITON3))
    midr(tmp_path, 0, 0x411FD401)
    assert detect(tmp_path, "aarch64").name == "Graviton3"


def test_the_first_readable_register_counts(tmp_path: Path) -> None:
    write(tmp_path, "/sys/devices/system/cpu/cpu0/regs/identification/midr_el1", "garbled\n")
    midr(tmp_path, 10, 0x413FD0C1)
    midr(tmp_path, 2, 0x411FD401)
    assert detect(tmp_path, "aarch64").name == "Graviton3"


def test_unequal_cores_have_what_all_have_and_the_name_of_the_first(tmp_path: Path) -> None:
    cpuinfo(tmp_path, arm_core(0, "0xd40", machines.GRAVITON3), arm_core(1, "0xd0c", machines.GRAVITON2))
    found = detect(tmp_path, "aarch64")
    assert (found.name, found.features) == ("Graviton3", GRAVITON2_FEATURES)


def test_a_core_without_flags_takes_them_from_all(tmp_path: Path) -> None:
    cpuinfo(tmp_path, arm_core(0, "0xd40", machines.GRAVITON3), "processor\t: 1\n\n")
    assert detect(tmp_path, "aarch64").features == frozenset()


def test_a_paragraph_about_the_board_is_no_core(tmp_path: Path) -> None:
    cpuinfo(tmp_path, arm_core(0, "0xd40", machines.GRAVITON3), "Hardware\t: Some board\nSerial\t\t: 0000\n")
    assert detect(tmp_path, "aarch64").has_arm_bf16


def test_an_old_kernel_hides_bf16_although_the_core_has_it(tmp_path: Path) -> None:
    cpuinfo(tmp_path, arm_core(0, "0xd40", machines.GRAVITON3_OLD_KERNEL))
    found = detect(tmp_path, "aarch64")
    assert found.name == "Graviton3"
    assert capabilities(found) == set()
    assert "sve" in found.features


@pytest.mark.parametrize(
    ("part", "implementer", "name"),
    [
        ("0xd49", "0x41", "Arm core 0xd49"),
        ("0xac3", "0xc0", "core 0xac3 of implementer 0xc0"),
        ("0xd0c", "0xc0", "core 0xd0c of implementer 0xc0"),
        ("0x051", "0x00", "core 0x051 of implementer 0x00"),
        ("", "0x41", "unidentified aarch64 processor"),
        ("d0c, really", "0x41", "unidentified aarch64 processor"),
    ],
)
def test_other_arm_cores_are_described(tmp_path: Path, part: str, implementer: str, name: str) -> None:
    cpuinfo(tmp_path, arm_core(0, part, machines.GRAVITON4, implementer))
    found = detect(tmp_path, "aarch64")
    assert (found.name, found.core) == (name, None)
    assert found.has_arm_bf16, "what a core can do does not depend on knowing its name"


def test_x86_without_amx(tmp_path: Path) -> None:
    machines.c6i(tmp_path)
    found = detect(tmp_path, "x86_64")
    model = "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz"
    assert found == Processor("x86_64", model, features=C6I_FEATURES)
    assert capabilities(found) == set()


def test_x86_with_amx(tmp_path: Path) -> None:
    machines.c7i(tmp_path)
    found = detect(tmp_path, "x86_64")
    assert found.name == "Intel(R) Xeon(R) Platinum 8488C"
    assert found.features == X86_FEATURES
    assert capabilities(found) == {"has_x86_bf16", "has_amx_bf16", "has_amx_int8"}


def test_amx_needs_its_tiles(tmp_path: Path) -> None:
    cpuinfo(tmp_path, x86_core(0, "some", "amx_bf16 amx_int8"))
    assert capabilities(detect(tmp_path, "x86_64")) == set()


def test_bf16_without_amx_is_bf16_on_x86(tmp_path: Path) -> None:
    cpuinfo(tmp_path, x86_core(0, "AMD EPYC 9R14", "avx2 avx512f avx512_bf16", "AuthenticAMD"))
    assert capabilities(detect(tmp_path, "x86_64")) == {"has_x86_bf16"}


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [("aarch64", set(CAPABILITIES[:2])), ("x86_64", set(CAPABILITIES[2:])), ("riscv64", set())],
)
def test_flags_of_another_architecture_do_not_count(architecture: str, expected: set[str]) -> None:
    processor = Processor(architecture, "some", features=ARM_FEATURES | X86_FEATURES)
    assert capabilities(processor) == expected


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [
        ("arm64", "aarch64"),
        ("AMD64", "x86_64"),
        ("x86_64\n", "x86_64"),
        ("riscv64", "riscv64"),
        ("", "unknown"),
    ],
)
def test_without_proc_only_the_architecture_is_known(tmp_path: Path, machine: str, architecture: str) -> None:
    found = detect(tmp_path, machine)
    assert found == Processor(architecture, f"unidentified {architecture} processor")


def test_unreadable_cpuinfo_is_as_none(tmp_path: Path) -> None:
    (tmp_path / "proc/cpuinfo").mkdir(parents=True)
    assert detect(tmp_path, "aarch64") == detect(tmp_path / "nowhere", "aarch64")


def test_bytes_that_are_not_text(tmp_path: Path) -> None:
    write(tmp_path, "/proc/cpuinfo", "")
    (tmp_path / "proc/cpuinfo").write_bytes(b"processor\t: 0\nmodel name\t: \xff\xfe\nflags\t: avx2 \x80\n")
    found = detect(tmp_path, "x86_64")
    assert found.features == {"avx2"}


def test_description_is_one_line_for_a_person(tmp_path: Path) -> None:
    machines.c6g(tmp_path)
    assert detect(tmp_path, "aarch64").description == "Graviton2 (Neoverse-N1), aarch64: asimddp asimdhp atomics"
    bare = Processor("riscv64", "unidentified riscv64 processor")
    assert bare.description == "unidentified riscv64 processor, riscv64: no known features"


def test_a_processor_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Processor("aarch64", "some").name = "other"  # type: ignore[misc]


def test_this_machine_is_detected() -> None:
    found = detect()
    assert found.name
    assert detect(machine=platform.machine()) == found


LINES = st.lists(
    st.sampled_from(["processor\t: 0", "Features\t: bf16 i8mm", "flags : amx_tile avx2", "CPU part : 0xd40", ""])
    | st.text()
)


@MODERATE
@given(lines=LINES, register=st.text(), machine=st.sampled_from(["aarch64", "x86_64"]) | st.text())
def test_no_text_stops_it(lines: list[str], register: str, machine: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in (
            ("proc/cpuinfo", "\n".join(lines)),
            ("sys/devices/system/cpu/cpu0/regs/identification/midr_el1", register),
        ):
            (root / name).parent.mkdir(parents=True)
            (root / name).write_bytes(text.encode("utf-8", errors="surrogatepass"))
        found = detect(root, machine)
    assert found.name
    assert found.features <= ARM_FEATURES | X86_FEATURES
    assert len(found.description.split("\n")) == 1
