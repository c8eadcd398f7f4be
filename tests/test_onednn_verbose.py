"""oneDNN's verbose lines are read, of whatever version; nothing that is none of them matters."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executions import GRAVITON, PROBLEM, TENSORFLOW_X86
from properties import THOROUGH
from serving.onednn_verbose import Execution, is_template, parse

# One convolution in the words of the versions from 1.x to 3.x, with and without time stamps.
TAIL = (
    "exec,cpu,convolution,gemm:acl,forward_training,src_f32::blocked:acdb:f0 wei_f32::blocked:acdb:f0 "
    f"bia_f32::blocked:a:f0 dst_f32::blocked:acdb:f0,attr-fpmath:bf16 ,alg:convolution_direct,{PROBLEM},1.76587"
)
STARTS = (
    "dnnl_verbose,",
    "onednn_verbose,",
    "onednn_verbose,1693533460193.346924,",
    "onednn_verbose,primitive,",
    "onednn_verbose,v1,primitive,",
    "onednn_verbose,v1,1693533460193.346924,primitive,",
)


def read(text: str) -> Sequence[Execution]:
    return list(parse(text.splitlines()))


def test_what_tensorflow_prints_is_read() -> None:
    assert read(TENSORFLOW_X86) == [
        Execution("reorder", "jit:uni", "", "bf16", depthwise=False, milliseconds=0.00390625),
        Execution("convolution", "brg_conv_fwd:avx512_core", "f32", "bf16", depthwise=False, milliseconds=0.143066),
        Execution("convolution", "brdgmm_dw:avx512_core", "f32", "", depthwise=True, milliseconds=0.0878906),
        Execution("inner_product", "x64:gemm:jit", "f32", "", depthwise=False, milliseconds=0.0168457),
        Execution("softmax", "jit:avx512_core_bf16", "", "", depthwise=False, milliseconds=0.0341797),
    ]


def test_the_kernels_of_the_gravitons_are_read() -> None:
    found = [(e.primitive, e.implementation, e.weights, e.depthwise) for e in read(GRAVITON)]
    assert found == [
        ("reorder", "acl", "", False),
        ("matmul", "gemm:acl", "bf16", False),
        ("convolution", "indirect_gemm:acl", "bf16", False),
        ("convolution", "jit_dw:sve_256", "f32", True),
        ("convolution", "gemm:ref", "f32", False),
    ]


@pytest.mark.parametrize("start", STARTS)
def test_every_version_is_read(start: str) -> None:
    assert read(start + TAIL) == [
        Execution("convolution", "gemm:acl", "f32", "bf16", depthwise=False, milliseconds=1.76587)
    ]


def test_the_template_tells_the_order() -> None:
    lines = [
        "onednn_verbose,v2,primitive,info,template:timestamp,operation,engine,exec_time,implementation,primitive",
        "onednn_verbose,v2,primitive,17.5,exec,cpu,0.5,gemm:acl,matmul",
    ]
    assert list(parse(lines)) == [Execution("matmul", "gemm:acl", "", "", depthwise=False, milliseconds=0.5)]
    assert is_template(lines[0])
    assert not is_template(lines[1])


@pytest.mark.parametrize(
    "line",
    [
        "",
        "exec,cpu,matmul",
        "onednn_verbose,v1,primitive,exec,cpu,matmul,gemm:acl",  # cut off
        "onednn_verbose,v1,primitive,exec:external,CpuGemmAssemblyWrapperKernel/sve,0.01",
        "onednn_verbose,v1,graph,exec,cpu,100002,fused,a;b,c,d,e,strict,larger,dnnl_backend,0.1",
        f"onednn_verbose,v1,primitive,{TAIL.removesuffix('1.76587')}nan",
        f"onednn_verbose,v1,primitive,create:cache_miss,{TAIL.removeprefix('exec,')}",
        f"other_verbose,v1,primitive,{TAIL}",
    ],
)
def test_other_lines_are_passed_over(line: str) -> None:
    assert read(line) == []


def test_a_convolution_of_one_channel_in_one_group_is_none_of_the_depthwise() -> None:
    text = TENSORFLOW_X86.replace("g16mb2_ic16oc16", "g1mb2_ic1oc16")
    assert not any(execution.depthwise for execution in read(text))


PIECES = st.sampled_from(
    [*TENSORFLOW_X86.splitlines(), *GRAVITON.splitlines(), "exec", "template:operation", "wei:", ","]
)


@THOROUGH
@given(
    st.lists(
        st.one_of(st.text(max_size=40), PIECES, st.tuples(PIECES, st.integers(0, 300)).map(lambda t: t[0][: t[1]]))
    )
)
def test_no_line_raises(lines: list[str]) -> None:
    for execution in parse(lines):
        assert execution.primitive
        assert execution.milliseconds >= 0


@THOROUGH
@given(
    st.lists(st.sampled_from(["onednn_verbose", "v1", "primitive", "exec", "info", "template:operation", "cpu", "1"]))
)
def test_no_order_of_fields_raises(fields: list[str]) -> None:
    list(parse([",".join(["onednn_verbose", *fields])] * 2))
