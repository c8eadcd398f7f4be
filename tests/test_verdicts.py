"""What fell back, with its cure, and what falls short of what was expected."""

from dataclasses import replace

import pytest

from executions import node, onnx, ran
from serving.kernels import Kernel
from serving.plans.tensorflow import FROZEN_WEIGHTS, ONEDNN_SWITCH
from serving.verdicts import EXPECTATIONS, Circumstances, fallbacks, shortfalls

ONNX = Circumstances("onnx", processor_has_bf16=True, bf16=True, bf16_reason="it has", environment={})
ONNX_X86 = replace(ONNX, processor_has_bf16=False, bf16=False, bf16_reason="no arm64")
SET = {ONEDNN_SWITCH: "1", FROZEN_WEIGHTS: "1", "DNNL_DEFAULT_FPMATH_MODE": "BF16"}
TENSORFLOW = replace(ONNX, framework="tensorflow", environment=SET)
UNFROZEN = replace(TENSORFLOW, environment={ONEDNN_SWITCH: "1", "DNNL_DEFAULT_FPMATH_MODE": "BF16"})


def cures(kernels: tuple[Kernel, ...], circumstances: Circumstances) -> list[str]:
    return [f"{fallback.what} | {fallback.cure}" for fallback in fallbacks(kernels, circumstances)]


ACL = ran("matmul", "gemm:acl", "bf16", "bf16")
REFERENCE = ran("convolution", "gemm:ref")


def test_where_all_is_well_there_is_no_fallback() -> None:
    assert cures((ACL, ran("softmax", "jit:sve_256", "")), TENSORFLOW) == []
    assert cures(onnx(node("MatMul"), node("Add")), ONNX) == []
    assert cures(onnx(node("Gemm"), node("Conv"), bf16=False), ONNX_X86) == []


def test_reference_code_is_cured_by_frozen_weights() -> None:
    (line,) = cures((ACL, REFERENCE), UNFROZEN)
    assert line.startswith("convolution on gemm:ref (1 call) is reference code | TF_ONEDNN_ASSUME_FROZEN_WEIGHTS=1")
    assert cures((ACL, REFERENCE), TENSORFLOW)[0].endswith("no other kernel for this case")
    assert cures((ACL, ran("softmax", "ref:any", "")), UNFROZEN)[0].endswith("no other kernel for this case")


def test_float32_while_bf16_is_on_is_a_fallback() -> None:
    float32 = ran("matmul", "gemm:acl")
    assert "FROZEN_WEIGHTS=1" in cures((float32,), UNFROZEN)[0]
    assert cures((float32,), replace(TENSORFLOW, environment={}))[0].endswith("| ONEDNN_DEFAULT_FPMATH_MODE=BF16")
    assert [line.split(" | ")[1] for line in cures(onnx(node("Gemm"), node("Conv")), ONNX)] == [
        "serve the model as a TensorFlow SavedModel, whose convolutions oneDNN computes in bf16",
        "export MatMul and Add instead of Gemm",
    ]


def test_bf16_that_is_off_on_a_processor_that_has_it_is_told() -> None:
    off = replace(ONNX, bf16=False, bf16_reason="SERVING_FPMATH=strict")
    (line,) = cures(onnx(node("MatMul"), bf16=False), off)
    assert "SERVING_FPMATH=strict" in line
    assert "| SERVING_FPMATH=bf16" in line


def test_onednn_that_ran_nothing_is_told() -> None:
    assert cures((), replace(TENSORFLOW, environment={ONEDNN_SWITCH: "0"}))[0].startswith("oneDNN is off:")
    assert cures((), TENSORFLOW)[0].startswith("oneDNN is off, or covers nothing")
    assert cures((ran("gemm_api", ""),), TENSORFLOW)[0].startswith("oneDNN is off, or covers nothing")
    assert cures((ran("reorder", "jit:uni", ""),), TENSORFLOW)[0].startswith("no convolution or matrix product")


@pytest.mark.parametrize(
    ("word", "kernels", "circumstances"),
    [
        ("acl", (ACL, ran("convolution", "jit_dw:sve_256", depthwise=True)), TENSORFLOW),
        ("acl", (ACL, ran("softmax", "ref:any", "")), TENSORFLOW),
        ("bf16", (ACL, ran("convolution", "jit_dw:sve_256", depthwise=True)), TENSORFLOW),
        ("bf16", onnx(node("MatMul"), node("Conv")), ONNX),
        ("onednn", (REFERENCE,), TENSORFLOW),
        ("no-ref", (ACL,), TENSORFLOW),
        ("mlas", onnx(node("MatMul"), node("Gather")), ONNX),
    ],
)
def test_what_is_expected_holds(word: str, kernels: tuple[Kernel, ...], circumstances: Circumstances) -> None:
    assert list(shortfalls([word], kernels, circumstances)) == []


@pytest.mark.parametrize(
    ("word", "kernels", "circumstances", "line"),
    [
        ("acl", onnx(node("MatMul")), ONNX, "acl: no convolution or matrix product ran on the Arm Compute Library"),
        ("acl", (ACL, REFERENCE), TENSORFLOW, "acl: convolution on gemm:ref (1 call) is reference code"),
        (
            "bf16",
            onnx(node("MatMul"), bf16=False),
            ONNX_X86,
            "bf16: nothing was computed in bf16, which is off: no arm64",
        ),
        ("bf16", onnx(node("Conv")), ONNX, "bf16: nothing was computed in bf16, which is on: it has"),
        ("bf16", onnx(node("MatMul"), node("Gemm")), ONNX, "bf16: Gemm on MLAS (1 call) was computed in float32"),
        ("onednn", onnx(node("MatMul")), ONNX, "onednn: no convolution or matrix product ran on oneDNN"),
        ("no-ref", (REFERENCE,), TENSORFLOW, "no-ref: convolution on gemm:ref (1 call) is reference code"),
        ("mlas", (ACL,), TENSORFLOW, "mlas: no convolution or matrix product ran on MLAS"),
    ],
)
def test_what_falls_short_is_told(
    word: str, kernels: tuple[Kernel, ...], circumstances: Circumstances, line: str
) -> None:
    assert next(shortfalls([word], kernels, circumstances)) == line


def test_every_expectation_says_what_it_means() -> None:
    assert all(meaning for meaning, _ in EXPECTATIONS.values())


def test_pytorch_has_no_use_for_tensorflows_cures() -> None:
    pytorch = replace(TENSORFLOW, framework="pytorch")
    assert cures((ACL,), pytorch) == []
    assert cures((REFERENCE,), replace(pytorch, environment={}))[0].endswith("no other kernel for this case")
    assert "on a BLAS" in cures((), pytorch)[0]
    assert cures((ran("matmul", "gemm:acl"),), replace(pytorch, environment={}))[0].endswith("_FPMATH_MODE=BF16")
