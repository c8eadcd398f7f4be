"""Where the script is: in the archive's code/, in another folder, or in S3, as the SageMaker SDK says it.

    SAGEMAKER_PROGRAM            the script's file name, `inference.py` unless said otherwise
    SAGEMAKER_SUBMIT_DIRECTORY   /opt/ml/model/code, another folder, file://..., or s3://.../sourcedir.tar.gz

The SDK puts the scripts of scikit-learn's and XGBoost's users into S3 beside the archive, not into it; it is
downloaded with the execution role's credentials, by boto3, which is imported for that alone.
"""

import logging
from pathlib import Path
from urllib.parse import unquote, urlsplit

from serving.errors import ModelLoadError
from serving.scratch import folder_for
from serving.scripts.found import FOLDER, SCRIPT, Script, script_in
from serving.settings import Settings

log = logging.getLogger(__name__)

S3 = "s3://"
FILE = "file://"
ARCHIVES = (".tar.gz", ".tgz")
WHAT = "The script's archive"
INSTEAD = (
    "Or put the script into the archive's code/ folder and leave SAGEMAKER_SUBMIT_DIRECTORY out, which needs no "
    "network (EnableNetworkIsolation)."
)


def locate(settings: Settings) -> Script | None:
    """The script, None where there is none. Raises ModelLoadError for one that was named and is not there.

    One that is named as it would be looked for anyway may be missing: the SageMaker SDK's ModelBuilder names it for
    every archive, with a script or without.
    """
    folder = _folder(settings)
    name = settings.script_program or SCRIPT
    script = script_in(folder, name)
    if script is None and settings.script_program and (folder, name) != (settings.model_dir / FOLDER, SCRIPT):
        raise ModelLoadError(
            f"SAGEMAKER_PROGRAM is {settings.script_program!r}, and {folder} has no such file. Expected: the script's "
            "file name, in code/ of the archive or where SAGEMAKER_SUBMIT_DIRECTORY points."
        )
    return script


def _folder(settings: Settings) -> Path:
    """The folder that the script is in, downloaded and unpacked where need be."""
    source = settings.script_source
    if not source:
        return settings.model_dir / FOLDER
    if source.startswith(S3):
        return _unpacked(_download(source, settings.region))
    path = Path(unquote(urlsplit(source).path) if source.startswith(FILE) else source)
    return _unpacked(path) if path.name.endswith(ARCHIVES) else path


def _download(address: str, region: str) -> Path:
    """Raises ModelLoadError."""
    bucket, _, key = address.removeprefix(S3).partition("/")
    path = folder_for(WHAT, f". {INSTEAD}") / "sourcedir.tar.gz"
    log.info("downloading the script from %s", address)
    try:
        import boto3  # noqa: PLC0415 (for this alone)
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    except ImportError as error:
        raise ModelLoadError(
            f"SAGEMAKER_SUBMIT_DIRECTORY is {address}, and this installation lacks boto3 to download it. Use the "
            f"default image. {INSTEAD}"
        ) from error
    try:
        boto3.client("s3", region_name=region or None).download_file(bucket, key, str(path))
    except (BotoCoreError, ClientError, OSError, ValueError) as error:
        raise ModelLoadError(
            f"The script at {address} (SAGEMAKER_SUBMIT_DIRECTORY) could not be downloaded: {error}. Expected: an "
            f"archive that the execution role may read (s3:GetObject). {INSTEAD}"
        ) from error
    return path


def _unpacked(archive: Path) -> Path:
    """Raises ModelLoadError."""
    import tarfile  # noqa: PLC0415 (of use for such archives alone, and 2 ms of every start)

    folder = folder_for(WHAT, f". {INSTEAD}")
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(folder, filter="data")  # nothing outside the folder, no devices, no foreign owners
    except (OSError, tarfile.TarError, EOFError) as error:
        raise ModelLoadError(
            f"The script's archive {archive} could not be unpacked: {error}. Expected: a .tar.gz with the script at "
            "its root (tar -czf sourcedir.tar.gz -C DIR .)."
        ) from error
    return folder
