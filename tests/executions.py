"""What runtimes tell of the kernels that they ran: oneDNN's own lines, and single kernels made up."""

from serving.kernels import Kernel, of_onednn, of_onnx_runtime
from serving.onednn_verbose import Execution
from serving.ort_profile import Node

TEMPLATE = (
    "onednn_verbose,v1,primitive,info,template:operation,engine,primitive,implementation,prop_kind,"
    "memory_descriptors,attributes,auxiliary,problem_desc,exec_time"
)
PROBLEM = "mb2_ic3oc16_ih32oh30kh3sh1dh0ph0_iw32ow30kw3sw1dw0pw0"
# What TensorFlow 2.21 (oneDNN 3.7.3) printed for a small network on an x86 with AVX-512.
TENSORFLOW_X86 = f"""\
onednn_verbose,v1,info,oneDNN v3.7.3 (commit N/A)
onednn_verbose,v1,info,cpu,runtime:threadpool,nthr:2
onednn_verbose,v1,info,cpu,isa:Intel AVX-512 with Intel DL Boost and bfloat16 support
onednn_verbose,v1,info,gpu,runtime:none
onednn_verbose,v1,info,graph,backend,0:dnnl_backend
onednn_verbose,v1,info,experimental functionality for sparse domain is enabled
{TEMPLATE}
onednn_verbose,v1,graph,info,template:operation,engine,partition_id,partition_kind,op_names,data_formats,\
logical_tensors,fpmath_mode,implementation,backend,exec_time
onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f32::blocked:cdba::f0 dst:f32::blocked:Acdb16a::f0,\
attr-fpmath:bf16,,16x3x3x3,0.00390625
onednn_verbose,v1,primitive,exec,cpu,convolution,brg_conv_fwd:avx512_core,forward_training,\
src:f32::blocked:acdb::f0 wei:f32:a:blocked:Acdb16a::f0 bia:f32:a:blocked:a::f0 dst:f32::blocked:acdb::f0,\
attr-scratchpad:user attr-fpmath:bf16 attr-post-ops:eltwise_relu,alg:convolution_direct,{PROBLEM},0.143066
onednn_verbose,v1,primitive,exec,cpu,convolution,brdgmm_dw:avx512_core,forward_training,\
src:f32::blocked:acdb::f0 wei:f32:a:blocked:deAbc16a::f0 bia:f32:a:blocked:a::f0 dst:f32::blocked:acdb::f0,\
attr-scratchpad:user,alg:convolution_direct,g16mb2_ic16oc16_ih30oh28kh3sh1dh0ph0_iw30ow28kw3sw1dw0pw0,0.0878906
onednn_verbose,v1,primitive,exec,cpu,inner_product,x64:gemm:jit,forward_training,\
src:f32::blocked:ab::f0 wei:f32::blocked:ba::f0 bia:f32:a:blocked:a::f0 dst:f32::blocked:ab::f0,\
attr-scratchpad:user,,mb2ic3136oc10,0.0168457
onednn_verbose,v1,primitive,exec,cpu,softmax,jit:avx512_core_bf16,forward_inference,\
src:f32::blocked:ab::f0 dst:f32::blocked:ab::f0,,alg:softmax_accurate axis:1,2x10,0.0341797
"""
# The kernels of TensorFlow 2.21 (oneDNN 3.7.0 with ACL) on an emulated Graviton3: convolutions word for word, with
# round times; a matrix product; and last, what a convolution gets where weights are not taken for frozen.
GRAVITON = f"""\
{TEMPLATE}
onednn_verbose,v1,primitive,exec,cpu,reorder,acl,undef,src:f32::blocked:ab::f0 dst:bf16:p:blocked:AB4a4b::f0,\
attr-fpmath:bf16,,258x64,0.05
onednn_verbose,v1,primitive,exec,cpu,matmul,gemm:acl,undef,src:f32::blocked:ab::f0 wei:bf16:ap:blocked:AB4a4b::f0 \
dst:f32::blocked:ab::f0,attr-scratchpad:user attr-fpmath:bf16,,8x258:258x64,0.12
onednn_verbose,v1,primitive,exec,cpu,convolution,indirect_gemm:acl,forward_training,src:f32::blocked:acdb::f0 \
wei:bf16:ap:blocked:AcdB8a4b::f0 bia:f32:a:blocked:a::f0 dst:f32::blocked:acdb::f0,attr-scratchpad:user \
attr-fpmath:bf16 attr-post-ops:eltwise_relu,alg:convolution_direct,{PROBLEM},0.3
onednn_verbose,v1,primitive,exec,cpu,convolution,jit_dw:sve_256,forward_training,src:f32::blocked:acdb::f0 \
wei:f32:a:blocked:Abcde8a::f0 bia:undef::undef::: dst:f32::blocked:acdb::f0,attr-scratchpad:user attr-fpmath:bf16,\
alg:convolution_direct,g16mb1_ic16oc16_ih30oh28kh3sh1dh0ph0_iw30ow28kw3sw1dw0pw0,0.2
onednn_verbose,v1,primitive,exec,cpu,convolution,gemm:ref,forward_training,\
src:f32::blocked:acdb::f0 wei:f32::blocked:cdba::f0 dst:f32::blocked:acdb::f0,,alg:convolution_direct,{PROBLEM},20.1
"""


def ran(
    primitive: str, implementation: str, weights: str = "f32", fpmath: str = "", *, depthwise: bool = False
) -> Kernel:
    (kernel,) = of_onednn([Execution(primitive, implementation, weights, fpmath, depthwise, 1.0)])
    return kernel


def node(
    operator: str, dtype: str = "float32", weights: int = 258 * 64, provider: str = "CPUExecutionProvider"
) -> Node:
    return Node(operator, provider, dtype, weights, 1.0)


def onnx(*nodes: Node, bf16: bool = True) -> tuple[Kernel, ...]:
    return of_onnx_runtime(nodes, bf16=bf16)
