"""PyTorch models on real servers: this machine's, and the image's variant on emulated Gravitons.

The amd64 image needs an index that few machines reach (TORCH_INDEX, see ./buildx.sh --help); it is tested where that
is set.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from assets.efficientnet import PREDICTIONS, WANTED_RIGHT, efficientnet_onnx, logits
from assets.needed import needed
from assets.pictures import Picture, efficientnet_input, imagenet_pictures
from assets.torch_environment import torch_models, torch_python
from conftest import TARGETS, built_image
from harness.bodies import CSV, JSON, NPY, as_json, as_npy, document, npy, refusal
from harness.servers import Server
from harness.targets import ROOT, Image, Local, Target

VARIANT = "pytorch"
# float32 on another processor, or in another library, adds up in another order; bf16 keeps 8 bits of logits of some
# 10, in every layer. The closest two classes differ by 0.25.
TOLERANCE, BF16_TOLERANCE = 0.02, 0.2
# What bf16 in the convolutions leaves at least: 0.01 to 0.03 were seen, and 1e-5 in float32.
BF16_SHOWS = 1e-3
# One product of 258 terms: right to some 1e-6 in float32, to some 1e-3 in bf16.
FLOAT32_LIMIT, BF16_RANGE = 1e-5, (1e-4, 1e-2)
# PyTorch leaves products of no more rows than this to a BLAS, which has no bf16.
FEW_ROWS = 8
# An emulated run of the classifier takes seconds.
EMULATED_PICTURES = 2
# OpenMP's threads wait for each other by spinning, which on a busy machine, and emulated, takes longer than the work.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
NAMES = [name for name in TARGETS if name != "amd64" or os.environ.get("TORCH_INDEX")]
Start = Callable[..., Server]


@pytest.fixture(
    scope="module", params=[pytest.param(n, marks=() if n == "local" else pytest.mark.container) for n in NAMES]
)
def torch_target(request: pytest.FixtureRequest) -> Target:
    """Where PyTorch is."""
    if request.param == "local":
        return Local(str(needed(torch_python)))
    platform, _, cpu = request.param.partition("-")
    return Image(built_image(platform, VARIANT), platform, cpu)


@pytest.fixture(scope="module")
def start(torch_target: Target) -> Iterator[Start]:
    """Starts a server and waits until it is ready."""
    servers: list[Server] = []

    def started(folder: Path, **environment: str) -> Server:
        servers.append(torch_target.start(folder, ONE_THREAD | environment))
        return servers[-1].until_ready()

    yield started
    for server in servers:
        server.remove()


@pytest.fixture(scope="module")
def models() -> Path:
    return needed(torch_models)


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return list(needed(imagenet_pictures))


def spared(target: Target) -> Mapping[str, str]:
    """Nothing is tried but what must be: such a model takes ten seconds a run under emulation.

    bf16's trial has a test of its own, and requests are joined on this machine.
    """
    return (
        {"SERVING_FPMATH": "bf16" if target.has_arm_bf16 else "auto", "SERVING_BATCH": "false"}
        if target.emulated
        else {}
    )


@pytest.mark.parametrize("kind", ["efficientnet", "efficientnet-exported"])
def test_a_real_classifier_gets_pictures_right(
    torch_target: Target, start: Start, models: Path, pictures: list[Picture], kind: str
) -> None:
    if kind == "efficientnet-exported" and torch_target.emulated:
        pytest.skip("what loads it is Python's, the same on every processor, and takes a minute under emulation")
    server = start(models / kind, **spared(torch_target))
    seen = pictures[:EMULATED_PICTURES] if torch_target.emulated else pictures
    expected = logits(needed(efficientnet_onnx), seen)
    got = np.concatenate([npy(server.post(as_npy(efficientnet_input(one)), NPY, NPY)) for one in seen])
    tolerance = BF16_TOLERANCE if torch_target.has_arm_bf16 else TOLERANCE
    np.testing.assert_allclose(got, expected, atol=tolerance, rtol=0)
    assert bool(np.abs(got - expected).max() > BF16_SHOWS) is torch_target.has_arm_bf16
    assert tuple(got.argmax(axis=1)) == PREDICTIONS[: len(seen)]
    if not torch_target.emulated:
        assert sum(got.argmax(axis=1) == [picture.label for picture in seen]) >= WANTED_RIGHT
        (answer,) = document(server.post(as_json(efficientnet_input(seen[0]).tolist())))["predictions"]
        np.testing.assert_allclose(answer, got[0], rtol=1e-6)
        assert refusal(server.post(as_npy(np.zeros((1, 4, 224, 224), np.float32)), NPY)) == (400, "wrong_dimension")
        assert "rows run together give what they give alone" in server.logs()


def deviation(server: Server, weight: np.ndarray, rows: int) -> float:
    """The largest difference from the product in float64, relative to the largest value."""
    given = np.random.default_rng(3).standard_normal((rows, weight.shape[1])).astype(np.float32)
    wanted = given.astype(np.float64) @ weight.T.astype(np.float64)
    got = npy(server.post(as_npy(given), NPY, NPY))
    assert got.dtype == np.float32
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


def test_bf16_is_tried_exactly_where_the_processor_has_it(torch_target: Target, start: Start, models: Path) -> None:
    if torch_target.emulated and not torch_target.has_arm_bf16:
        pytest.skip("float32 on this processor is what the classifier's answers show")
    weight = np.load(models / "products" / "weight.npy")
    server = start(models / "products")
    assert deviation(server, weight, FEW_ROWS) < FLOAT32_LIMIT
    more = deviation(server, weight, FEW_ROWS + 1)
    if torch_target.has_arm_bf16:
        assert BF16_RANGE[0] < more < BF16_RANGE[1]
        assert "bf16 is on: its outputs deviate by" in server.logs()
    else:
        assert more < FLOAT32_LIMIT
    assert "OMP_NUM_THREADS=1 (set in the environment already, kept)" in server.logs()
    assert ("THP_MEM_ALLOC_ENABLE=1" in server.logs()) is (torch_target.emulated)


@pytest.fixture(scope="module")
def local_only(torch_target: Target) -> None:
    if not isinstance(torch_target, Local):
        pytest.skip("what is tested does not depend on the processor")


@pytest.mark.usefixtures("local_only")
def test_a_module_that_keeps_state_counts_every_request_once(start: Start, models: Path) -> None:
    server = start(models / "counter")
    zeros = as_json([[0, 0, 0, 0]])
    counted = [document(server.post(zeros))["predictions"][0][0] for _ in range(5)]
    assert counted == [1, 2, 3, 4, 5]
    assert "it changes calls" in server.logs()
    assert "requests are run one by one" in server.logs()


@pytest.mark.usefixtures("local_only")
def test_weights_alone_end_the_server_with_advice(torch_target: Target, models: Path) -> None:
    server = torch_target.start(models / "weights", {})
    try:
        assert server.until_ended() == 1
        assert "weights without the module" in server.logs()
        assert "torch.export" in server.logs()
        assert "model_fn" in server.logs()
    finally:
        server.remove()


def test_a_script_of_awss_container_loads_weights_by_model_fn(
    torch_target: Target, start: Start, models: Path, tmp_path: Path
) -> None:
    if torch_target.has_arm_bf16:
        pytest.skip("a script's process is the same on both processors, and starts in half a minute")
    tmp_path.chmod(0o755)
    shutil.copy(models / "weights" / "model.pt", tmp_path / "model.pth")
    shutil.copytree(ROOT / "tests" / "assets" / "scripts" / "products", tmp_path / "code")
    server = start(tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS="1")
    given = np.random.default_rng(5).standard_normal((2, 258)).astype(np.float32)
    wanted = given @ np.load(models / "products" / "weight.npy").T
    answer = server.post(as_json(given.tolist()))
    # AWS's container answers a bare array.
    np.testing.assert_allclose(document(answer), wanted, rtol=1e-4, atol=1e-4)
    assert answer.headers["content-type"] == JSON
    lines = server.post(as_json(given.tolist()), JSON, CSV).text.splitlines()
    np.testing.assert_allclose([[float(v) for v in line.split(",")] for line in lines], wanted, rtol=1e-4, atol=1e-4)
