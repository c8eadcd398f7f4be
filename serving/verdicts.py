"""What to make of the kernels that ran: what fell back and what would cure it, what falls short of expectations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from serving.kernels import (
    BF16_ALLOWED,
    EIGENS_PRODUCT,
    GEMMS,
    MLAS,
    MLAS_BF16,
    MLAS_CONVOLUTIONS,
    ONEDNN_PRODUCTS,
    Kernel,
)
from serving.plans.environment import FPMATH_VARIABLES
from serving.plans.tensorflow import FROZEN_WEIGHTS, ONEDNN_SWITCH, SWITCHED_OFF

# What decides about kernels and is read from the environment.
VARIABLES = (FROZEN_WEIGHTS, ONEDNN_SWITCH, *FPMATH_VARIABLES)
NO_CURE = "none is known; the library has no other kernel for this case"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Under which the kernels ran: what the plan says about bf16, and those of VARIABLES that were set."""

    framework: str
    processor_has_bf16: bool
    bf16: bool
    bf16_reason: str
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fallback:
    """Something that ran slower than it might, and what would cure it."""

    what: str
    cure: str


def fallbacks(kernels: Sequence[Kernel], circumstances: Circumstances) -> Iterator[Fallback]:
    """Everything that ran slower than it might, with its cure."""
    if circumstances.processor_has_bf16 and not circumstances.bf16:
        yield Fallback(
            f"bf16 is off on a processor that has it: {circumstances.bf16_reason}",
            "SERVING_FPMATH=bf16, if the model stands the deviation",
        )
    if circumstances.framework == "onnx":
        yield from _onnx_fallbacks(kernels, circumstances)
    elif not any(kernel.product for kernel in kernels):
        yield _without_onednn(kernels, circumstances)
    yield from _onednn_fallbacks(kernels, circumstances)


def _onnx_fallbacks(kernels: Sequence[Kernel], circumstances: Circumstances) -> Iterator[Fallback]:
    for kernel in kernels:
        if not circumstances.bf16 or kernel.dtype != "float32":
            continue
        if kernel.operation in GEMMS:
            yield Fallback(
                f"{kernel.described} computes in float32 while bf16 is on: ONNX Runtime has bf16 for MatMul alone",
                "export MatMul and Add instead of Gemm",
            )
        elif kernel.operation in MLAS_CONVOLUTIONS:
            yield Fallback(
                f"{kernel.described} computes in float32 while bf16 is on: ONNX Runtime has no bf16 convolution",
                "serve the model as a TensorFlow SavedModel, whose convolutions oneDNN computes in bf16",
            )


def _without_onednn(kernels: Sequence[Kernel], circumstances: Circumstances) -> Fallback:
    """No convolution and no matrix product ran on oneDNN."""
    if circumstances.framework == "pytorch":
        return Fallback("no convolution or matrix product ran on oneDNN: if the model has any, on a BLAS", NO_CURE)
    if circumstances.environment.get(ONEDNN_SWITCH, "").lower() in SWITCHED_OFF:
        return Fallback("oneDNN is off: everything ran on Eigen", f"remove {ONEDNN_SWITCH}=0 from the environment")
    if all(kernel.operation == EIGENS_PRODUCT for kernel in kernels):
        return Fallback("oneDNN is off, or covers nothing in this model: everything ran on Eigen", f"{ONEDNN_SWITCH}=1")
    return Fallback("no convolution or matrix product ran on oneDNN: if the model has any, on Eigen", NO_CURE)


def _onednn_fallbacks(kernels: Sequence[Kernel], circumstances: Circumstances) -> Iterator[Fallback]:
    # Which TensorFlow alone reads.
    frozen = circumstances.framework == "pytorch"
    frozen = frozen or circumstances.environment.get(FROZEN_WEIGHTS, "").lower() in ("1", "true")
    freeze = NO_CURE if frozen else f"{FROZEN_WEIGHTS}=1: weights that cannot change are laid out as ACL needs them"
    for kernel in kernels:
        if kernel.is_reference:
            yield Fallback(f"{kernel.described} is reference code", freeze if kernel.product else NO_CURE)
        elif circumstances.framework != "onnx" and circumstances.bf16 and kernel.bf16 is False:
            allowed = any(circumstances.environment.get(name, "").lower() in BF16_ALLOWED for name in FPMATH_VARIABLES)
            yield Fallback(
                f"{kernel.described} computes in float32 while bf16 is on",
                freeze if allowed else f"{FPMATH_VARIABLES[0]}=BF16",
            )


# A judge yields one line for each way in which what ran falls short.
Judge = Callable[[Sequence[Kernel], Circumstances], Iterator[str]]


def _acl(kernels: Sequence[Kernel], circumstances: Circumstances) -> Iterator[str]:
    if not any(kernel.product and kernel.is_acl for kernel in kernels):
        yield "no convolution or matrix product ran on the Arm Compute Library"
    yield from (line for line in _no_reference([k for k in kernels if k.product], circumstances))


def _bf16(kernels: Sequence[Kernel], circumstances: Circumstances) -> Iterator[str]:
    if not any(kernel.bf16 for kernel in kernels):
        state = "on" if circumstances.bf16 else "off"
        yield f"nothing was computed in bf16, which is {state}: {circumstances.bf16_reason}"
        return
    for kernel in kernels:
        if kernel.bf16 is False:
            yield f"{kernel.described} was computed in float32"


def _onednn(kernels: Sequence[Kernel], _circumstances: Circumstances) -> Iterator[str]:
    if not any(kernel.operation in ONEDNN_PRODUCTS for kernel in kernels):
        yield "no convolution or matrix product ran on oneDNN"


def _no_reference(kernels: Sequence[Kernel], _circumstances: Circumstances) -> Iterator[str]:
    yield from (f"{kernel.described} is reference code" for kernel in kernels if kernel.is_reference)


def _mlas(kernels: Sequence[Kernel], _circumstances: Circumstances) -> Iterator[str]:
    products = [kernel for kernel in kernels if kernel.product]
    if not any(kernel.implementation in (MLAS, MLAS_BF16) for kernel in products):
        yield "no convolution or matrix product ran on MLAS"
    yield from (f"{k.described} ran elsewhere" for k in products if k.implementation not in (MLAS, MLAS_BF16))


# What can be expected: the word, what it means, and its judge.
EXPECTATIONS: Mapping[str, tuple[str, Judge]] = {
    "acl": ("the Arm Compute Library ran convolutions or matrix products, and none was reference code", _acl),
    "bf16": ("every float32 product that the library has a bf16 kernel for used it, and there is one", _bf16),
    "onednn": ("oneDNN ran convolutions or matrix products", _onednn),
    "no-ref": ("nothing ran on oneDNN's reference code", _no_reference),
    "mlas": ("every convolution and matrix product ran on MLAS, ONNX Runtime's kernels, and there is one", _mlas),
}


def shortfalls(words: Sequence[str], kernels: Sequence[Kernel], circumstances: Circumstances) -> Iterator[str]:
    """A line for each way in which what ran falls short of the words of EXPECTATIONS."""
    for word in words:
        _, judge = EXPECTATIONS[word]
        yield from (f"{word}: {line}" for line in judge(kernels, circumstances))
