"""Which processor this is, and which of its instructions machine learning can use.

Two questions, kept apart on purpose:

* What is it called? Answered for people (logs, `inspect`) from the part number of the core. A part number
  names the core's design, not who built the chip: 0xd0c is Graviton2, but Ampere Altra too, and 0xd4f is
  Graviton4, but Nvidia Grace and Google Axion too. Nothing is ever decided by it.
* What can it do? Answered for the plan from the feature flags that the kernel lists, and from those alone.
  They are right on other makers' chips, under an emulator, and on a kernel older than the core: Linux before
  5.6 lists neither bf16 nor i8mm on a Graviton3, and the frameworks, which ask the same kernel, use neither.

A process may be moved between cores at any moment, so a flag counts only if every core has it.
"""

import platform
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from serving.pseudofiles import text_of

AARCH64: Final = "aarch64"
X86_64: Final = "x86_64"
# What macOS, the BSDs and Windows call the two.
MACHINE_ALIASES: Final = MappingProxyType({"arm64": AARCH64, "amd64": X86_64})

# Linux's names, from arch/arm64/kernel/cpuinfo.c and arch/x86/include/asm/cpufeatures.h.
ARM_FEATURES: Final = frozenset(
    {
        "atomics",  # LSE: locks that scale with the cores
        "asimdhp",  # float16 arithmetic
        "asimddp",  # SDOT, UDOT: int8 dot products
        "i8mm",  # SMMLA: int8 matrix products
        "bf16",  # BFMMLA, BFDOT: bfloat16 matrix and dot products
        "sve",
        "sve2",
        "svei8mm",
        "svebf16",
    }
)
X86_FEATURES: Final = frozenset(
    {
        "avx2",
        "avx512f",
        "avx_vnni",  # int8 dot products on 256-bit registers
        "avx512_vnni",  # the same on 512-bit registers
        "avx512_bf16",  # bfloat16 dot products
        "amx_tile",  # the tile registers that the next two work on
        "amx_int8",
        "amx_bf16",
    }
)
FEATURES: Final[Mapping[str, frozenset[str]]] = MappingProxyType({AARCH64: ARM_FEATURES, X86_64: X86_FEATURES})
FLAG_KEYS: Final[Mapping[str, str]] = MappingProxyType({AARCH64: "Features", X86_64: "flags"})
"""The /proc/cpuinfo key that lists the flags; only the architecture's own is read."""


class Identity(NamedTuple):
    """MIDR_EL1's two identifying fields: who designed the core, and which of its cores it is."""

    implementer: int
    part: int


ARM_LIMITED: Final = 0x41
"""The implementer code of Arm Ltd, which designed every Neoverse core; part numbers are per implementer."""

# Linux arch/arm64/include/asm/cputype.h for the cores, aws-graviton-getting-started for the chips.
# V3AE is the variant of V3 for cars; it is listed because it runs the same code.
NEOVERSE: Final[Mapping[int, tuple[str, str]]] = MappingProxyType(
    {
        0xD0C: ("Graviton2", "Neoverse-N1"),
        0xD40: ("Graviton3", "Neoverse-V1"),
        0xD4F: ("Graviton4", "Neoverse-V2"),
        0xD83: ("Graviton5", "Neoverse-V3AE"),
        0xD84: ("Graviton5", "Neoverse-V3"),
    }
)

MIDR_FILES: Final = "sys/devices/system/cpu/cpu[0-9]*/regs/identification/midr_el1"
HEX: Final = re.compile(r"0x[0-9a-fA-F]{1,16}")
"""Registers are 64 bits wide; anything longer is not one."""


class Processor(NamedTuple):
    """What is known about the processor; see the module's docstring for what each part may be used for."""

    architecture: str
    """"aarch64", "x86_64", or the machine's own name for anything else."""
    name: str
    """For people: "Graviton3", an x86 model name, or a description of an unknown processor. Never empty."""
    core: str | None = None
    """For people: "Neoverse-V1"; None on x86 and for unknown cores."""
    midr_part: int | None = None
    """The part number of an Arm core (12 bits, of the first core); None on x86 or if it cannot be read."""
    features: frozenset[str] = frozenset()
    """Those of `ARM_FEATURES` or `X86_FEATURES` that every core has, by Linux's names."""

    @property
    def has_arm_bf16(self) -> bool:
        """An Arm core with BFMMLA, as Graviton3 and later; never true on x86, whatever its flags.

        What the bfloat16 switches of ONNX Runtime and of oneDNN with ACL need.
        """
        return self.architecture == AARCH64 and "bf16" in self.features

    @property
    def has_arm_i8mm(self) -> bool:
        """An Arm core with SMMLA, as Graviton3 and later: quantised models gain most from it."""
        return self.architecture == AARCH64 and "i8mm" in self.features

    @property
    def has_x86_bf16(self) -> bool:
        """An x86 core with bfloat16 products, as AVX-512 dot products or as AMX tiles."""
        return self.architecture == X86_64 and ("avx512_bf16" in self.features or self.has_amx_bf16)

    @property
    def has_amx_bf16(self) -> bool:
        """An x86 core with AMX for bfloat16; the instructions are of no use without the tile registers."""
        return self.architecture == X86_64 and self.features >= {"amx_tile", "amx_bf16"}

    @property
    def has_amx_int8(self) -> bool:
        """An x86 core with AMX for int8; the instructions are of no use without the tile registers."""
        return self.architecture == X86_64 and self.features >= {"amx_tile", "amx_int8"}

    @property
    def description(self) -> str:
        """One line for a log: "Graviton3 (Neoverse-V1), aarch64: asimddp asimdhp atomics bf16 ...".

        The flags are in alphabetical order, "no known features" where there is none.
        """
        core = f" ({self.core})" if self.core else ""
        features = " ".join(sorted(self.features)) or "no known features"
        return f"{self.name}{core}, {self.architecture}: {features}"


def detect(root: Path = Path("/"), machine: str | None = None) -> Processor:
    """The processor as `root`/proc/cpuinfo and `root`/sys show it.

    Never raises on what it finds: a file that is missing, unreadable or garbled leaves its part unknown, and
    an unknown feature is one that is not used. Off Linux only the architecture is known.

    Args:
        root: Where proc and sys are mounted.
        machine: The architecture as `uname -m` names it, which cpuinfo does not say; this machine's if None.
    """
    architecture = _architecture(platform.machine() if machine is None else machine)
    cores = _cores(text_of(root / "proc/cpuinfo"))
    features = _features(cores, architecture)
    if architecture == AARCH64:
        identity = _identity(root, cores)
        name, core = _arm_name(identity)
        return Processor(architecture, name, core, identity.part if identity else None, features)
    model = cores[0].get("model name", "") if cores else ""
    return Processor(architecture, model or f"unidentified {architecture} processor", features=features)


def _architecture(machine: str) -> str:
    name = " ".join(machine.lower().split())
    return MACHINE_ALIASES.get(name, name) or "unknown"


def _cores(cpuinfo: str) -> list[dict[str, str]]:
    """The `key : value` pairs of each core; a paragraph without a `processor` key is about the board."""
    cores = []
    for paragraph in cpuinfo.split("\n\n"):
        pairs = (line.partition(":") for line in paragraph.split("\n"))
        core = {key.strip(): " ".join(value.split()) for key, colon, value in pairs if colon}
        if "processor" in core:
            cores.append(core)
    return cores


def _features(cores: list[dict[str, str]], architecture: str) -> frozenset[str]:
    if not cores or architecture not in FEATURES:
        return frozenset()
    key = FLAG_KEYS[architecture]
    return FEATURES[architecture].intersection(*(core.get(key, "").split() for core in cores))


def _identity(root: Path, cores: list[dict[str, str]]) -> Identity | None:
    """The first core's identity, from its register where the kernel shows it, else from cpuinfo."""
    # By length first, so that cpu10 comes after cpu2. Cores that are offline have no such file.
    for path in sorted(root.glob(MIDR_FILES), key=lambda path: (len(str(path)), str(path))):
        if midr := _hexadecimal(text_of(path)):
            return Identity(implementer=midr >> 24 & 0xFF, part=midr >> 4 & 0xFFF)
    first = cores[0] if cores else {}
    implementer, part = _hexadecimal(first.get("CPU implementer")), _hexadecimal(first.get("CPU part"))
    return None if implementer is None or part is None else Identity(implementer, part)


def _hexadecimal(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text, 16) if HEX.fullmatch(text) else None


def _arm_name(identity: Identity | None) -> tuple[str, str | None]:
    if identity is None:
        return f"unidentified {AARCH64} processor", None
    if identity.implementer != ARM_LIMITED:
        return f"core {identity.part:#05x} of implementer {identity.implementer:#04x}", None
    return NEOVERSE.get(identity.part, (f"Arm core {identity.part:#05x}", None))
