"""One row for each kind of operation, and which of them is said to compute in bf16."""

import pytest

from executions import node, onnx, ran
from serving.kernels import MLAS, MLAS_BF16, Kernel, of_onednn
from serving.onednn_verbose import Execution, parse
from serving.ort_profile import Node


def test_calls_that_ran_alike_are_one_row_and_the_slowest_is_first() -> None:
    executions = [
        Execution("softmax", "jit:sve_256", "", "", depthwise=False, milliseconds=2.0),
        Execution("matmul", "gemm:acl", "bf16", "bf16", depthwise=False, milliseconds=1.5),
        Execution("matmul", "gemm:acl", "f32", "", depthwise=False, milliseconds=0.5),
        Execution("matmul", "gemm:acl", "bf16", "bf16", depthwise=False, milliseconds=1.0),
    ]
    assert [(k.operation, k.dtype, k.bf16, k.calls, k.milliseconds) for k in of_onednn(executions)] == [
        ("matmul", "bfloat16", True, 2, 2.5),
        ("softmax", "", None, 1, 2.0),
        ("matmul", "float32", False, 1, 0.5),
    ]


@pytest.mark.parametrize(
    ("kernel", "bf16"),
    [
        (ran("matmul", "gemm:acl", "bf16"), True),
        (ran("matmul", "gemm:acl", "f32", "bf16"), False),  # allowed, but not seen
        (ran("convolution", "brg_conv_fwd:avx512_core_amx", "f32", "bf16"), True),  # rounds on the way in
        (ran("convolution", "brg_conv_fwd:avx512_core_amx", "f32", ""), False),
        (ran("convolution", "jit_dw:sve_256", "f32", "bf16", depthwise=True), None),
        (ran("convolution", "jit:int8", "s8"), None),
        (ran("softmax", "jit:avx512_core_bf16", "", "bf16"), None),
    ],
)
def test_bf16_is_claimed_of_onednn_where_it_shows(kernel: Kernel, bf16: bool | None) -> None:
    assert kernel.bf16 is bf16


@pytest.mark.parametrize(
    ("one", "implementation", "bf16"),
    [
        (node("MatMul"), MLAS_BF16, True),
        (node("MatMul", weights=31), MLAS, None),  # too small for the bf16 kernel
        (node("MatMul", "float64"), MLAS, None),
        (node("Gemm"), MLAS, False),
        (node("FusedGemm"), MLAS, False),
        (node("FusedMatMul"), MLAS, None),  # depends on a transposition that the profile does not tell
        (node("Conv"), MLAS, None),
        (node("Gather"), "CPU provider", None),
        (node("MatMul", provider="OtherProvider"), "OtherProvider", True),
    ],
)
def test_onnx_runtimes_dispatch_rule(one: Node, implementation: str, bf16: bool | None) -> None:
    (kernel,) = onnx(one)
    assert (kernel.implementation, kernel.bf16) == (implementation, bf16)


def test_without_fast_math_nothing_is_claimed() -> None:
    (kernel,) = onnx(node("MatMul"), bf16=False)
    assert (kernel.implementation, kernel.bf16) == (MLAS, False)


@pytest.mark.parametrize("implementation", ["ref", "ref:any", "gemm:ref", "gemm_s8u8s32:ref"])
def test_reference_code_is_known_by_its_name(implementation: str) -> None:
    assert ran("convolution", implementation).is_reference


@pytest.mark.parametrize("implementation", ["gemm:acl", "indirect_gemm:acl", "wino:acl", "acl"])
def test_acl_is_known_by_its_name(implementation: str) -> None:
    assert ran("convolution", implementation).is_acl
    assert not ran("convolution", implementation).is_reference


def test_eigens_own_products_are_told_apart_from_onednns() -> None:
    line = (
        "onednn_verbose,v1,primitive,exec,cpu,gemm_api,,undef,src_f32::blocked:ab:f0 wei_f32::blocked:ab:f0 "
        "dst_f32::blocked:ab:f0,lda:3136 attr-post-ops:sum:1 ,,2x528:528x10,0.00219727"
    )
    (kernel,) = of_onednn(parse([line]))
    assert (kernel.implementation, kernel.product, kernel.bf16) == ("Eigen on oneDNN's sgemm", False, None)
