"""Trees of /proc and /sys as machines that matter here have them, written under a test's own root.

The flags are those of real machines, put together or shortened only where a comment says so. A builder takes
the root and writes; `detect(root)` and `cpu_budget(root)` are all that a test wants next.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

# c6g, Amazon Linux 2.
GRAVITON2: Final = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs"
)
# c7g under a kernel before 5.6, which does not know the names of the features that came with the core.
GRAVITON3_OLD_KERNEL: Final = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop "
    "sha3 sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs"
)
GRAVITON3: Final = f"{GRAVITON3_OLD_KERNEL} dcpodp svei8mm svebf16 i8mm bf16 dgh rng"
# c8g. No ssbs: newer kernels hide it on several cores, this one among them (Arm erratum 3194386).
GRAVITON4: Final = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop "
    "sha3 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm sb paca pacg dcpodp sve2 sveaes svepmull svebitperm "
    "svesha3 flagm2 frint svei8mm svebf16 i8mm bf16 dgh rng bti"
)
# m9g, put together: Graviton4's and the three that AWS's runtime-feature-detection.md lists beyond them.
GRAVITON5: Final = f"{GRAVITON4} ecv afp wfxt"

# c6i (Ice Lake), shortened: system flags left out.
ICE_LAKE: Final = (
    "fpu mmx sse sse2 ht syscall nx lm ssse3 fma cx16 sse4_1 sse4_2 aes avx f16c rdrand hypervisor bmi1 avx2 "
    "bmi2 avx512f avx512dq avx512ifma clflushopt avx512cd avx512bw avx512vl avx512vbmi avx512_vbmi2 gfni vaes "
    "vpclmulqdq avx512_vnni avx512_bitalg avx512_vpopcntdq"
)
# m7i, c7i (Sapphire Rapids), shortened likewise.
SAPPHIRE_RAPIDS: Final = f"{ICE_LAKE} avx_vnni avx512_bf16 amx_bf16 avx512_fp16 amx_tile amx_int8"


def write(root: Path, name: str, text: str) -> None:
    """Writes `root`/`name`, folders included; `name` is absolute, as the machine would have it."""
    path = root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def arm_core(number: int, part: str, features: str, implementer: str = "0x41") -> str:
    """One paragraph of an arm64 kernel's /proc/cpuinfo."""
    return (
        f"processor\t: {number}\nBogoMIPS\t: 2100.00\nFeatures\t: {features}\n"
        f"CPU implementer\t: {implementer}\nCPU architecture: 8\nCPU variant\t: 0x1\n"
        f"CPU part\t: {part}\nCPU revision\t: 1\n\n"
    )


def x86_core(number: int, model: str, flags: str, vendor: str = "GenuineIntel") -> str:
    """One paragraph of an x86 kernel's /proc/cpuinfo."""
    return (
        f"processor\t: {number}\nvendor_id\t: {vendor}\ncpu family\t: 6\nmodel\t\t: 143\n"
        f"model name\t: {model}\nstepping\t: 8\ncpu MHz\t\t: 2400.000\nphysical id\t: 0\n"
        f"flags\t\t: {flags}\nvmx flags\t: vnmi ept\n"
        "bugs\t\t: spectre_v1 spectre_v2\nbogomips\t: 4800.00\nclflush size\t: 64\n"
        "address sizes\t: 46 bits physical, 48 bits virtual\npower management:\n\n"
    )


def cpuinfo(root: Path, *cores: str) -> None:
    """Writes /proc/cpuinfo out of paragraphs."""
    write(root, "/proc/cpuinfo", "".join(cores))


def midr(root: Path, cpu: int, value: int) -> None:
    """Writes a core's MIDR_EL1 as the kernel does: 64 bits in hexadecimal."""
    write(root, f"/sys/devices/system/cpu/cpu{cpu}/regs/identification/midr_el1", f"{value:#018x}\n")


def topology(root: Path, siblings: Iterable[str], file: str = "core_cpus_list") -> None:
    """Writes, for CPU 0, 1, ..., the list of the CPUs that share its core."""
    for cpu, text in enumerate(siblings):
        write(root, f"/sys/devices/system/cpu/cpu{cpu}/topology/{file}", f"{text}\n")


def _graviton(root: Path, cpus: int, midr_value: int, features: str) -> None:
    part = f"{midr_value >> 4 & 0xFFF:#05x}"
    cpuinfo(root, *(arm_core(cpu, part, features) for cpu in range(cpus)))
    topology(root, map(str, range(cpus)))
    for cpu in range(cpus):
        midr(root, cpu, midr_value)


def c6g(root: Path, cpus: int = 4) -> None:
    """A Graviton2 instance."""
    _graviton(root, cpus, 0x413FD0C1, GRAVITON2)


def c7g(root: Path, cpus: int = 4) -> None:
    """A Graviton3 instance."""
    _graviton(root, cpus, 0x411FD401, GRAVITON3)


def c8g(root: Path, cpus: int = 4) -> None:
    """A Graviton4 instance."""
    _graviton(root, cpus, 0x410FD4F1, GRAVITON4)


def m9g(root: Path, cpus: int = 4) -> None:
    """A Graviton5 instance."""
    _graviton(root, cpus, 0x410FD840, GRAVITON5)


def _xeon(root: Path, cpus: int, model: str, flags: str) -> None:
    half = cpus // 2
    cpuinfo(root, *(x86_core(cpu, model, flags) for cpu in range(cpus)))
    topology(root, (f"{cpu % half},{cpu % half + half}" for cpu in range(cpus)))


def c6i(root: Path, cpus: int = 8) -> None:
    """An Ice Lake instance: two vCPUs a core, numbered half the machine apart."""
    _xeon(root, cpus, "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", ICE_LAKE)


def c7i(root: Path, cpus: int = 8) -> None:
    """A Sapphire Rapids instance: as c6i, with AMX."""
    _xeon(root, cpus, "Intel(R) Xeon(R) Platinum 8488C", SAPPHIRE_RAPIDS)
