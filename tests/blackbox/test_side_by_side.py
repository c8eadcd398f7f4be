"""Archives made for AWS's containers, served here and by those containers' own code: the same bytes.

The packages of AWS's toolkits are in an environment of their own (`assets.toolkit_answers`). On the local server, for
what a script is given and what becomes of what it returns does not depend on the target. Where a request is answered
otherwise there, the test says what is answered there, and the pages in docs/migration say why.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree

import joblib
import numpy as np
import pytest
import xgboost as xgb
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from assets.needed import needed
from assets.toolkit_answers import Answered, Asked, toolkit_answers
from harness.bodies import CSV, JSON, NPY, NPZ, as_json, as_npy
from harness.servers import Server
from harness.targets import ROOT, Local

SCRIPTS = ROOT / "tests" / "assets" / "scripts"
X, Y = load_iris(return_X_y=True)
ROWS = X[::30]
LINES = "\n".join(",".join(map(str, row)) for row in ROWS.tolist()).encode()
ACCEPTS = ("", "*/*", JSON, CSV, NPY)
Start = Callable[..., Server]


def ask(body: bytes | str, content_type: str = "", accept: str = "", **headers: str) -> Asked:
    sent = {"Content-Type": content_type, "Accept": accept} | headers
    return Asked(body.encode() if isinstance(body, str) else body, {name: text for name, text in sent.items() if text})


def with_each_accept(*asked: Asked) -> list[Asked]:
    return [ask(body, headers["Content-Type"], accept) for body, headers in asked for accept in ACCEPTS]


def as_npz(array: sparse.csr_matrix, folder: Path) -> bytes:
    sparse.save_npz(folder / "rows.npz", array)
    return (folder / "rows.npz").read_bytes()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a local server of the test's own."""
    servers: list[Server] = []

    def started(folder: Path, **environment: str) -> Server:
        servers.append(Local().start(folder, {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"} | environment))
        return servers[-1].until_ready()

    yield started
    for server in servers:
        server.remove()


@pytest.fixture
def archive(tmp_path: Path) -> Callable[[str], Path]:
    """An archive's folder with one of the scripts in `code/`."""

    def made(script: str) -> Path:
        copytree(SCRIPTS / script, tmp_path / "model" / "code")
        return tmp_path / "model"

    return made


def answered(server: Server, asked: Asked) -> Answered:
    # The client's own Accept would be */*, which the containers read as none, as this server does.
    got = server.client.post("/invocations", content=asked.body, headers={"Accept": "*/*", **asked.headers})
    return Answered(got.status_code, got.headers.get("content-type", ""), got.content)


def compare(
    server: Server, container: str, folder: Path, asked: list[Asked], refused: list[tuple[Asked, int, int]]
) -> None:
    """Hold both sides against each other.

    `asked` get the same status, content type and body from both; `refused` the status that is stated of the container,
    and the one that is stated of this server.
    """
    everything = [*asked, *(one for one, _, _ in refused)]
    theirs = needed(lambda: toolkit_answers(container, folder, everything))
    assert len(theirs) == len(everything)
    for one, expected in zip(asked, theirs, strict=False):
        assert expected.status < 500, (one, expected)
        assert answered(server, one) == expected, one
    for (one, there, here), expected in zip(refused, theirs[len(asked) :], strict=True):
        assert (expected.status, answered(server, one).status) == (there, here), (one, expected)


def generic(archive: Callable[[str], Path], script: str) -> Path:
    folder = archive(script)
    (folder / "model.json").write_text(json.dumps({"factor": 3}))
    return folder


def test_the_generic_containers_defaults(start: Start, archive: Callable[[str], Path], tmp_path: Path) -> None:
    folder = generic(archive, "factor")
    server = start(folder)
    asked = [
        *with_each_accept(
            ask(as_json([[1, 2], [3, 4]]), JSON),
            ask(as_json([16777217, 0.1]), JSON),
            ask("1,2,3", CSV),
            ask("0.1,2\n3,4.5\n", CSV),
            ask(LINES, CSV),
            ask(as_npy(ROWS.astype(np.float32)), NPY),
            ask(as_npz(sparse.csr_matrix(np.eye(3)), tmp_path), NPZ),
        ),
        ask("7", CSV),
        ask("7", JSON),
        ask("1,a\n2,b", CSV),
        ask("[1, 2]", JSON, "text/html, text/csv, application/json"),
        ask("[1, 2]", JSON, "application/x-npy,text/csv"),
    ]
    compare(
        server,
        "generic",
        folder,
        asked,
        [
            (ask("[1", JSON), 500, 400),
            (ask("[[1], [1, 2]]", JSON), 500, 400),
            (ask("1,2\n3", CSV), 500, 400),
            (ask("no", NPY), 500, 400),
            (ask("", JSON), 500, 400),
            (ask("x", "image/png"), 500, 415),
            (ask("[1]", JSON, "text/html"), 500, 406),
            (ask('["a"]', JSON), 500, 500),  # the script's own failure
            (ask("[1]", "application/json; charset=utf-8"), 500, 200),
        ],
    )


def test_a_generic_containers_script_with_functions_of_its_own(start: Start, archive: Callable[[str], Path]) -> None:
    folder = generic(archive, "hooks")
    server = start(folder)
    document = as_json(["a", 1, [2.5, None, "ä"]])
    asked = [
        *(ask(document, JSON, accept) for accept in ("", "text/x-bytes", "text/x-text", "text/x-two", "application/x")),
        ask("1,2\n3,4", CSV, JSON),
        ask("bytes", "application/x-told"),
        ask("bytes", "text/plain; charset=utf-8", "text/x-text"),
        ask(
            as_json(["header", "X-Amzn-SageMaker-Custom-Attributes", 0]),
            JSON,
            **{"X-Amzn-SageMaker-Custom-Attributes": "a=b"},
        ),
        ask(as_json(["header", "X-Other", 0]), JSON, **{"X-Other": "c"}),
    ]
    compare(
        server,
        "generic",
        folder,
        asked,
        [
            (ask(document, JSON, "text/x-status"), 409, 409),
            (ask(as_json(["refuse", 422, "no cats"]), JSON), 422, 422),
            (ask(as_json(["refuse", 503, "later"]), JSON), 503, 503),
            (ask(as_json(["fail", 0, "no"]), JSON), 500, 500),
            (ask("[", JSON), 500, 500),  # the script's own failure
        ],
    )


def test_scikit_learns_container(start: Start, archive: Callable[[str], Path]) -> None:
    """The script is where the SDK puts it: not in the archive."""
    folder = archive("labels")
    labels = np.array(["setosa", 'a "quoted", one', "virginica"])[Y]
    joblib.dump(LogisticRegression(max_iter=500).fit(X, labels), folder / "model.joblib")
    source = folder.parent / "sourcedir"
    copytree(folder / "code", source)
    (source / "inference.py").rename(source / "train.py")
    server = start(folder, SAGEMAKER_PROGRAM="train.py", SAGEMAKER_SUBMIT_DIRECTORY=f"file://{source}")
    asked = with_each_accept(
        ask(as_json(ROWS.tolist()), JSON), ask(LINES, CSV), ask(LINES + b"\n", CSV), ask(as_npy(ROWS), NPY)
    )
    # Its own functions for what is not read or not written give 415 and 406, which get lost on the way in this version.
    compare(
        server,
        "scikit-learn",
        folder,
        [*asked, ask(as_json(ROWS.tolist()), ContentType=JSON), ask("[[1,2,3,4]]")],
        [
            (ask("x", "image/png"), 500, 415),
            (ask(as_json(ROWS.tolist()), JSON, "text/html"), 500, 406),
            (ask("[[", JSON), 500, 400),
            (ask("a,b", CSV), 500, 400),
            (ask("", JSON), 500, 400),
            (ask(as_json([[1, 2]]), JSON), 500, 500),
            (ask("1,2,3,4", CSV), 500, 200),
        ],
    )


def test_scikit_learns_containers_responses(start: Start, archive: Callable[[str], Path]) -> None:
    folder = archive("responses")
    joblib.dump(LogisticRegression(max_iter=500).fit(X, Y), folder / "model.joblib")
    server = start(folder)
    bodies = [(as_json(ROWS.tolist()), JSON), (LINES, CSV), (as_npy(ROWS), NPY)]
    asked = [ask(*body, accept) for body in bodies for accept in (*ACCEPTS, "text/x-dict", "text/x-status")]
    assert answered(server, asked[-1]) == Answered(418, "text/plain; charset=utf-8", b"no")
    compare(server, "scikit-learn", folder, asked, [(ask(LINES, CSV, "text/html"), 500, 415)])


def test_xgboosts_container_with_a_script(start: Start, archive: Callable[[str], Path]) -> None:
    folder = archive("booster")
    parameters = {"objective": "multi:softprob", "num_class": 3, "max_depth": 3}
    xgb.train(parameters, xgb.DMatrix(X, Y), 5).save_model(folder / "model.ubj")
    server = start(folder)
    libsvm = "\n".join(" ".join(["0", *(f"{i}:{value}" for i, value in enumerate(row))]) for row in ROWS.tolist())
    absent = LINES.replace(b"5.1", b"", 1)
    asked = with_each_accept(
        ask(LINES, CSV), ask(absent, CSV), ask(libsvm, "text/libsvm"), ask(libsvm, "text/x-libsvm")
    )
    compare(
        server,
        "xgboost",
        folder,
        asked,
        [
            (ask("a,b", CSV), 500, 400),
            (ask("x", "image/png"), 500, 415),
            (ask(LINES, CSV, "text/html"), 500, 406),
        ],
    )


RECORDIO = "application/x-recordio-protobuf"


def test_records_of_the_older_toolkit_are_xgboosts(start: Start, tmp_path: Path) -> None:
    """What its users' clients write is read, and what is selected of an answer is written as its container does."""
    booster = xgb.train({"objective": "binary:logistic", "max_depth": 3}, xgb.DMatrix(X, Y > 0), 5)
    booster.save_model(tmp_path / "xgboost-model.ubj")
    (tmp_path / "xgboost-model.ubj").rename(tmp_path / "xgboost-model")
    rows = ROWS.copy()
    rows[1] = [0, 5, 0, 1.5]
    rows[2] = 0
    (score,) = booster.predict(xgb.DMatrix(rows[:1])).tolist()
    asked = [
        ask(as_json(rows.tolist()), "dense"),
        ask(as_json(rows.tolist()), "sparse"),
        ask(as_json({"probability": [score]}), "label"),
        ask(as_json({"probabilities": [1 - score, score]}), "label"),
        ask(as_json({"labels": [0, 1]}), "label"),
    ]
    dense, sparsely, *labels = needed(lambda: toolkit_answers("recordio", tmp_path, asked))
    server = start(tmp_path)
    absent = np.where(rows == 0, np.nan, rows)
    for records, matrix in ((dense, rows), (sparsely, absent)):
        expected = "\n".join(map(str, booster.predict(xgb.DMatrix(matrix)).tolist()))
        assert server.post(records.body, RECORDIO).text == expected
    first = ",".join(map(str, rows[0].tolist())).encode()
    for key, label in zip(("probability", "probabilities", "labels"), labels, strict=True):
        assert start(tmp_path, SAGEMAKER_INFERENCE_OUTPUT=key).post(first, CSV, RECORDIO).content == label.body
