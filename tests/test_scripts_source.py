"""Where a script is: in the archive, in another folder, in S3; each as the SageMaker SDK says it."""

import io
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from serving.errors import ModelLoadError
from serving.scripts.source import locate
from serving.settings import Settings, from_environment

HOOKS = "def model_fn(model_dir): ...\n"


def archived(**files: str) -> bytes:
    """A .tar.gz of files, by names whose dots are written as underscores."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("_py", ".py"))
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


class Bucket(BaseHTTPRequestHandler):
    """A double of S3: objects by path, for whoever signs with the right key."""

    objects: ClassVar[dict[str, bytes]] = {}

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        signed = "AWS4-HMAC-SHA256 Credential=test-key/" in self.headers.get("Authorization", "")
        found = self.objects.get(self.path)
        self.send_response(403 if not signed else 404 if found is None else 200)
        content = found or b""
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """The objects of a double of S3, which boto3 talks to, as the execution role."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    # boto3 keeps its session, with the credentials of whichever test made it.
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    for name in ("NO_PROXY", "no_proxy"):  # the lower-case one wins where both are set, as behind some proxies
        monkeypatch.setenv(name, "127.0.0.1")
    Bucket.objects.clear()
    yield Bucket.objects
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is unpacked goes with the test."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))


def settings(folder: Path, program: str = "", source: str = "") -> Settings:
    return from_environment(
        {
            "SERVING_MODEL_DIR": str(folder),
            "SAGEMAKER_PROGRAM": program,
            "SAGEMAKER_SUBMIT_DIRECTORY": source,
            "SAGEMAKER_REGION": "eu-west-1",
        }
    )


def written(folder: Path, name: str, text: str = HOOKS) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_the_script_is_in_the_archives_code_unless_said_otherwise(tmp_path: Path) -> None:
    assert locate(settings(tmp_path)) is None
    file = written(tmp_path, "code/inference.py")
    found = locate(settings(tmp_path))
    assert found is not None
    assert (found.file, found.loads_model) == (file, True)


@pytest.mark.parametrize("program", ["entry.py", "entry"])
@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_program_in_another_folder(tmp_path: Path, form: str, program: str) -> None:
    file = written(tmp_path, "other/entry.py")
    written(tmp_path, "other/lib/helper.py")
    found = locate(settings(tmp_path, program, form.format(tmp_path / "other")))
    assert found is not None
    assert (found.file, found.libraries) == (file, tmp_path / "other" / "lib")


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"SAGEMAKER_PROGRAM is 'entry\.py', and .*code has no such file"):
        locate(settings(tmp_path, "entry.py"))


def test_the_sdks_model_builder_may_name_a_script_that_no_archive_has(tmp_path: Path) -> None:
    assert locate(settings(tmp_path, "inference.py", str(tmp_path / "code"))) is None
    assert locate(settings(tmp_path, "inference.py")) is None
    with pytest.raises(ModelLoadError, match="has no such file"):
        locate(settings(tmp_path, "inference.py", str(tmp_path / "other")))


def test_a_script_in_s3_is_downloaded(tmp_path: Path, s3: dict[str, bytes]) -> None:
    s3["/bucket/some/sourcedir.tar.gz"] = archived(train_py=HOOKS, helper_py="")
    found = locate(settings(tmp_path, "train.py", "s3://bucket/some/sourcedir.tar.gz"))
    assert found is not None
    assert found.file.read_text() == HOOKS
    assert (found.folder / "helper.py").exists()
    assert found.loads_model


@pytest.mark.usefixtures("s3")
def test_a_script_that_is_not_in_s3_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"s3://bucket/gone\.tar\.gz .*could not be downloaded.*s3:GetObject"):
        locate(settings(tmp_path, "train.py", "s3://bucket/gone.tar.gz"))


def test_an_archive_that_is_none_is_told(tmp_path: Path, s3: dict[str, bytes]) -> None:
    s3["/bucket/sourcedir.tar.gz"] = b"no archive"
    with pytest.raises(ModelLoadError, match=r"could not be unpacked: .*tar -czf sourcedir"):
        locate(settings(tmp_path, "train.py", "s3://bucket/sourcedir.tar.gz"))


def test_an_archive_on_the_disk_cannot_write_outside(tmp_path: Path) -> None:
    (tmp_path / "sourcedir.tar.gz").write_bytes(archived(**{"../escaped_py": HOOKS}))
    with pytest.raises(ModelLoadError, match="could not be unpacked"):
        locate(settings(tmp_path, "escaped.py", str(tmp_path / "sourcedir.tar.gz")))


def test_without_a_place_to_write_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(ModelLoadError, match="needs a writable folder for temporary files"):
        locate(settings(tmp_path, "train.py", "s3://bucket/sourcedir.tar.gz"))
