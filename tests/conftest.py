"""What every test shares: the targets, the images under test, and servers that tests may share."""

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from harness.engine import tried
from harness.leaving_out import MARK, leave_out
from harness.servers import Server
from harness.targets import ROOT, Image, Local, Target, engine_answers

TAG: Final = os.environ.get("TEST_TAG", "test")
"""Working trees that share an engine need tags of their own."""
REPOSITORY: Final = "graviton-serving"
DEFAULT_VARIANT: Final = "full"
TARGETS: Final = ("local", "amd64", "arm64-neoverse-n1", "arm64-neoverse-v1")

Build = Callable[[Path], Path]


def pytest_configure(config: pytest.Config) -> None:
    """Before anything imports ONNX Runtime, whose wheel reports its use unless told not to."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    config.addinivalue_line("markers", "container: runs the built image, so it needs a Docker engine")
    config.addinivalue_line("markers", "graviton: runs on the emulated Gravitons alone")
    config.addinivalue_line("markers", "any_graviton: one emulated Graviton is enough, for nothing depends on which")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `target` on each of them; for `image_target` on the images alone."""
    if "target" in metafunc.fixturenames:
        names = [name for name in TARGETS if _runs_on(name, metafunc.definition)]
        marks = [pytest.param(name, marks=() if name == "local" else pytest.mark.container) for name in names]
        metafunc.parametrize("target", marks, indirect=True, scope="session")


def _runs_on(name: str, test: pytest.Item) -> bool:
    """Whether a test, by its markers, is for a target."""
    if test.get_closest_marker("any_graviton") and name == TARGETS[-1]:
        return False
    if test.get_closest_marker("graviton"):
        return name.startswith("arm64")
    return name != "local" or not test.get_closest_marker("container")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what a machine without an engine leaves out."""
    left_out = [r for r in terminalreporter.stats.get("skipped", []) if MARK in str(r.longrepr)]
    if left_out:
        terminalreporter.section(f"{len(left_out)} TESTS WERE LEFT OUT ON THIS MACHINE", sep="!")
        for reason in sorted({str(report.longrepr[2]) for report in left_out if isinstance(report.longrepr, tuple)}):
            terminalreporter.line(reason)


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """Where a black-box test runs."""
    if request.param == "local":
        return Local()
    platform, _, cpu = request.param.partition("-")
    return Image(built_image(platform, DEFAULT_VARIANT), platform, cpu)


@cache
def built_image(platform: str, variant: str) -> str:
    """The image of this working tree for a platform, built once a session; the engine's cache keeps it cheap."""
    if not engine_answers():
        leave_out("no Docker engine answers: the built images were not tested")
    part = "" if variant == DEFAULT_VARIANT else f"-{variant}"
    name = f"{REPOSITORY}:{TAG}{part}-{platform}"
    former = of_image(name, "{{.Id}}")
    command = ["./buildx.sh", "--load", "--platform", f"linux/{platform}", "--tag", TAG, "--variant", variant]
    done = subprocess.run([*command, "--repository", REPOSITORY], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"the image for {platform} was not built:\n{done.stdout}\n{done.stderr}", pytrace=False)
    # It may have lost its only name to the new one, and each is over a gigabyte. Without force: a container may use it.
    if former and of_image(former, "{{len .RepoTags}}") == "0":
        tried("image", "rm", former)
    return name


def of_image(name: str, form: str) -> str:
    """What the engine says of an image; empty where there is none of that name."""
    return tried("image", "inspect", "--format", form, name).stdout.strip()


@pytest.fixture(scope="session")
def image_of() -> Callable[[str, str], str]:
    """Builds the image of a platform and a variant and gives its name."""
    return built_image


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a model directory with one model of `assets.onnx_models`; the same one for the same arguments."""

    @cache
    def make(build: Callable[..., Path], **options: object) -> Path:
        folder = tmp_path_factory.mktemp("model")
        folder.chmod(0o755)  # containers may run as any user
        build(folder / "model.onnx", **options)
        return folder

    return make


@pytest.fixture(scope="session")
def shared(target: Target) -> Iterator[Callable[..., Server]]:
    """Starts a ready server, or gives the one already started with the same directory and environment.

    For tests that leave a server as they found it: starting one takes seconds under emulation.
    """
    servers: dict[tuple[object, ...], Server] = {}

    def start(directory: Path, **environment: str) -> Server:
        key = (directory, *sorted(environment.items()))
        if key not in servers:
            servers[key] = target.start(directory, environment)
            servers[key].until_ready()
        return servers[key]

    yield start
    for server in servers.values():
        server.terminate()
    for server in servers.values():
        server.remove()


@pytest.fixture
def serve(target: Target) -> Iterator[Callable[..., Server]]:
    """Starts a server of the test's own, without waiting for it; removed after the test."""
    servers: list[Server] = []

    def start(directory: Path, user: str = "", **environment: str) -> Server:
        servers.append(target.start(directory, environment, user))
        return servers[-1]

    yield start
    for server in servers:
        server.remove()
