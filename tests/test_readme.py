"""The README is true: its commands are run as they stand, its tables are those that the program makes."""

import json
import os
import re
import shlex
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

from harness.servers import LocalServer, free_port
from harness.targets import ROOT, Target
from serving import errors
from serving.settings import markdown_table

README: Final = (ROOT / "README.md").read_text()
PORT: Final = "8080"
# Running the tests from a test would not end.
NOT_RUN: Final = "make test"
# Its commands are run by tests/cloud/test_road.py, in an account that is none.
PYTHON: Final = ".venv/bin/python"


def commands() -> list[str]:
    """Every line of the README's shell blocks, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def only(*words: str) -> str:
    """The one command that begins with these words."""
    (found,) = {line for line in commands() if line.startswith(" ".join(words))}
    return found


def answer_of(command: str, port: int) -> object:
    done = subprocess.run(
        shlex.split(command.replace(f":{PORT}/", f":{port}/")), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def is_the_digit_two(answer: object) -> bool:
    assert isinstance(answer, dict)
    assert len(answer["predictions"][0]["probabilities"]) == 10
    found: int = answer["predictions"][0]["label"]
    return found == 2


def test_every_command_is_known_to_these_tests() -> None:
    assert {line.split()[0] for line in commands()} == {"make", "curl", "./buildx.sh", "docker", PYTHON}
    assert {line for line in commands() if line.startswith("make")} == {"make serve", NOT_RUN}


def test_make_serve_serves_and_the_curl_line_gets_the_digit_right() -> None:
    port = free_port()
    server = LocalServer(shlex.split(only("make serve")), port, ROOT, {**os.environ, "SERVING_PORT": str(port)})
    try:
        server.until_ready()
        assert is_the_digit_two(answer_of(only("curl"), port))
        printed = re.search(r"^ +(curl .*)$", server.logs(), re.MULTILINE)
        assert printed is not None
        assert is_the_digit_two(answer_of(printed[1], port))
        assert '"label":2 is the right answer' in server.logs()
        (shown,) = re.findall(r"^```json\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
        assert is_the_digit_two(json.loads(shown))
    finally:
        server.remove()


@pytest.mark.container
def test_the_container_does_what_the_readme_says(target: Target) -> None:
    folder = ROOT / "examples" / "digits" / "model"
    run = shlex.split(only("docker run --rm --platform linux/arm64 -p"))
    assert run[-1] == "serve"
    assert f"$PWD/{folder.relative_to(ROOT)}:/opt/ml/model:ro" in run
    server = target.start(folder, {})
    try:
        server.until_ready()
        assert is_the_digit_two(answer_of(only("curl"), server.port))
    finally:
        server.remove()


def test_the_settings_table_is_the_programs_own() -> None:
    assert markdown_table() in README


def test_the_error_table_is_the_programs_own() -> None:
    by_status: dict[int, list[str]] = defaultdict(list)
    for kind in kinds(errors.ServingError):
        by_status[int(kind.status)].append(f"`{kind.code}`")
    for status, codes in by_status.items():
        row = next(line for line in README.splitlines() if line.startswith(f"| {status} |"))
        assert sorted(row.split(" | ")[1].removesuffix(" |").split(", ")) == sorted(codes)


def kinds(kind: type[errors.ServingError]) -> list[type[errors.ServingError]]:
    """An error class and those below it, but for the base that stands for a whole status."""
    below = [found for sub in kind.__subclasses__() for found in kinds(sub)]
    return below if kind is errors.BadRequestError else [kind, *below]


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/architecture.md",
        "docs/dependencies.md",
        "docs/deploying.md",
        "docs/migration/scikit-learn.md",
        "docs/migration/tensorflow-serving.md",
        "docs/migration/xgboost.md",
        "CHANGELOG.md",
    ],
)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)", (ROOT / page).read_text()):
        assert (ROOT / Path(page).parent / link).exists(), link
