"""Nine classifiers of real architectures, with constant weights: they load, answer as in process, and fit in memory."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from harness.bodies import NPY, as_npy, npy, refusal
from harness.servers import LocalServer, Server
from harness.targets import Target

Picture = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Serve = Callable[..., Server]
# Part of the onnx package. Every weight is one constant, so that all pictures give one answer: of these models, their
# operators, sizes and memory are what there is to test.
GRAPHS = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NAMES = (
    *("bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50"),
    *("shufflenet", "squeezenet", "vgg19", "zfnet512"),
)
# Under emulation some take more than a minute: two with operators that the other models of these tests lack (groups
# with transposed channels; local response normalisation).
EMULATED_NAMES = ("inception_v1", "shufflenet")
# Sums of up to 25088 products, in another order.
TOLERANCE = 1e-5
# The most that a server may have held: its weights as they were made and as its kernels want them. The rest is the
# program and the values of a run: 192 MB at most were seen, and the largest model's weights are 575 MB.
COPIES, REST = 2, 256_000_000
# To measure lanes takes long under emulation, and for a moment as much memory again as a session and a file of the
# weights, which would hide what loading takes.
NOTHING_TRIED = {"SERVING_LANES": "1"}


@pytest.fixture(scope="session")
def picture() -> Picture:
    return np.random.default_rng(0).random((1, 3, 224, 224), np.float32)


def test_these_are_all_that_the_package_has() -> None:
    assert {path.stem.removeprefix("light_") for path in GRAPHS.glob("*.onnx")} == set(NAMES)


@pytest.mark.any_graviton
@pytest.mark.parametrize("name", NAMES)
def test_it_answers_as_in_process(target: Target, serve: Serve, tmp_path: Path, picture: Picture, name: str) -> None:
    if target.emulated and name not in EMULATED_NAMES:
        pytest.skip("its operators are tested with another graph, and it takes long under emulation")
    tmp_path.chmod(0o755)
    path = tmp_path / "model.onnx"
    shutil.copy(GRAPHS / f"light_{name}.onnx", path)
    server = serve(tmp_path, **NOTHING_TRIED).until_ready()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {session.get_inputs()[0].name: picture})
    answer = npy(server.post(as_npy(picture), NPY, NPY))
    np.testing.assert_allclose(answer, wanted, rtol=TOLERANCE)
    assert refusal(server.post(as_npy(picture[:, :, 1:]), NPY)) == (400, "wrong_dimension")
    if isinstance(server, LocalServer):
        assert most_memory(server.pid) < COPIES * weights(path) + REST


def weights(path: Path) -> int:
    """How many bytes the weights are once the graph has made them."""
    graph = onnx.load(path).graph
    shapes = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    made = [shapes[node.input[0]] for node in graph.node if node.op_type == "ConstantOfShape"]
    return sum(int(np.prod(shape)) for shape in made) * np.dtype(np.float32).itemsize


def most_memory(pid: int) -> int:
    """The most bytes that a process of this machine has had in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
