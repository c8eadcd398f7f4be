"""Which kernels ran: one row for each kind of operation.

oneDNN says itself which implementation it took and in which dtype the weights were. ONNX Runtime says which
operator ran on which provider; the rest is inferred from its dispatch rule, which is written out here and
was seen to hold on an emulated Neoverse-V1 with 1.32: with its fast-math entry on, MatMul of float32 is
computed in bf16 if one matrix of B has 32 elements or more (`kFastMathModeKernelsizeThreshold` in its
matmul.h), Gemm and Conv never are. FusedMatMul is, unless its B is transposed, which the profile does not
tell, so nothing is claimed for it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from serving import onednn_verbose, ort_profile

FAST_MATH_ELEMENTS = 32
CPU_PROVIDER = "CPUExecutionProvider"
MLAS, MLAS_BF16 = "MLAS", "MLAS (bf16 fast math)"
# Operators whose work is done by ONNX Runtime's library of kernels; the others are plain loops around data.
MLAS_CONVOLUTIONS = frozenset({"Conv", "ConvInteger", "ConvTranspose", "FusedConv", "NhwcFusedConv", "QLinearConv"})
GEMMS = frozenset({"FusedGemm", "Gemm"})
MLAS_PRODUCTS = (
    MLAS_CONVOLUTIONS
    | GEMMS
    | frozenset(
        {
            "DynamicQuantizeMatMul",
            "FusedMatMul",
            "MatMul",
            "MatMulInteger",
            "MatMulIntegerToFloat",
            "MatMulNBits",
            "QGemm",
            "QLinearMatMul",
        }
    )
)
MLAS_OPERATORS = MLAS_PRODUCTS | {
    "Attention",
    "AveragePool",
    "DequantizeLinear",
    "Erf",
    "GRU",
    "Gelu",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "LSTM",
    "LogSoftmax",
    "MaxPool",
    "MultiHeadAttention",
    "QuantizeLinear",
    "ReorderInput",
    "ReorderOutput",
    "Sigmoid",
    "Softmax",
    "Tanh",
}
DEPTHWISE = "depthwise convolution"
# The plain function of oneDNN that Eigen multiplies blocks with, on x86 and whether TensorFlow uses oneDNN or not.
EIGENS_PRODUCT, EIGEN = "gemm_api", "Eigen on oneDNN's sgemm"
ONEDNN_PRODUCTS = frozenset({"convolution", DEPTHWISE, "deconvolution", "inner_product", "matmul"})
ONEDNN_DTYPES = {"f64": "float64", "f32": "float32", "bf16": "bfloat16", "f16": "float16", "s8": "int8", "u8": "uint8"}
# Kernels that round float32 to bf16 on the way in, where the arithmetic allowed is bf16: their weights stay f32.
BF16_INSTRUCTIONS = ("amx", "bf16")
BF16_ALLOWED = frozenset({"bf16", "any"})


@dataclass(frozen=True, slots=True)
class Kernel:
    """All calls of one kind of operation that ran alike.

    `bf16` tells whether it computed in bf16; None where it could not (no product, no float32, or no such
    kernel in the library).
    """

    operation: str
    implementation: str
    dtype: str
    bf16: bool | None
    product: bool
    calls: int
    milliseconds: float

    @property
    def is_reference(self) -> bool:
        """Whether it is oneDNN's reference code, which is right and slow (`ref:any`, `gemm:ref`)."""
        return "ref" in self.implementation.split(":")

    @property
    def is_acl(self) -> bool:
        """Whether it is the Arm Compute Library's (`gemm:acl`, `indirect_gemm:acl`, `acl`)."""
        return "acl" in self.implementation.split(":")

    @property
    def described(self) -> str:
        """For a message: `convolution on gemm:ref (3 calls)`."""
        return f"{self.operation} on {self.implementation} ({self.calls} call{'s' if self.calls != 1 else ''})"


def of_onednn(executions: Iterable[onednn_verbose.Execution]) -> tuple[Kernel, ...]:
    """The rows of what oneDNN ran, the most time first."""
    return _grouped(map(_of_execution, executions))


def of_onnx_runtime(nodes: Iterable[ort_profile.Node], *, bf16: bool) -> tuple[Kernel, ...]:
    """The rows of what ONNX Runtime ran, the most time first; `bf16` is whether its fast-math entry is on."""
    return _grouped(_of_node(node, bf16=bf16) for node in nodes)


def _of_execution(execution: onednn_verbose.Execution) -> Kernel:
    depthwise = execution.depthwise and execution.primitive == "convolution"
    operation = DEPTHWISE if depthwise else execution.primitive
    product = operation in ONEDNN_PRODUCTS
    dtype = ONEDNN_DTYPES.get(execution.weights, execution.weights)
    rounded = execution.fpmath in BF16_ALLOWED and any(name in execution.implementation for name in BF16_INSTRUCTIONS)
    # A depthwise convolution is bound by memory, and oneDNN runs it in float32 whatever the arithmetic allowed.
    able = product and not depthwise and dtype in ("float32", "bfloat16")
    bf16 = (dtype == "bfloat16" or rounded) if able else None
    implementation = EIGEN if operation == EIGENS_PRODUCT else execution.implementation
    return Kernel(operation, implementation, dtype, bf16, product, 1, execution.milliseconds)


def _of_node(node: ort_profile.Node, *, bf16: bool) -> Kernel:
    able = node.dtype == "float32" and (
        node.operator in GEMMS or (node.operator == "MatMul" and node.weights >= FAST_MATH_ELEMENTS)
    )
    fast = (bf16 and node.operator == "MatMul") if able else None
    if node.provider != CPU_PROVIDER:
        implementation = node.provider
    elif node.operator in MLAS_OPERATORS:
        implementation = MLAS_BF16 if fast else MLAS
    else:
        implementation = "CPU provider"
    return Kernel(node.operator, implementation, node.dtype, fast, node.operator in MLAS_PRODUCTS, 1, node.milliseconds)


def _grouped(kernels: Iterable[Kernel]) -> tuple[Kernel, ...]:
    def kind(kernel: Kernel) -> tuple[str, ...]:
        return kernel.operation, kernel.implementation, kernel.dtype, str(kernel.bf16)

    rows = [_sum(list(same)) for _, same in groupby(sorted(kernels, key=kind), key=kind)]
    return tuple(sorted(rows, key=lambda kernel: -kernel.milliseconds))


def _sum(same: Sequence[Kernel]) -> Kernel:
    one = same[0]
    milliseconds = sum(kernel.milliseconds for kernel in same)
    return Kernel(one.operation, one.implementation, one.dtype, one.bf16, one.product, len(same), milliseconds)
