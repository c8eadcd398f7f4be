"""The settings: environment variables, read once into one frozen object.

SageMaker's and AWS's containers' own names are taken where they have one, `SERVING_*` otherwise. A value
that cannot be used is an error that names the variable, what it held and what it takes. The README's
table is generated from the fields below (`python -m serving settings`).
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from serving.takes import NAME, NAMES, PATH, TEXT, Takes, choice, level, media_type, names, number, switch

MAX_PORT = 65_535
# A payload limit counts as SageMaker does: its "6 MB" is 6,291,456 bytes.
MEGABYTE = 2**20
# SageMaker passes up to 25 MB to a container.
DEFAULT_PAYLOAD_MB = 25
# SageMaker gives an invocation 60 s; AWS's containers have the same default.
DEFAULT_TIMEOUT_SECONDS = 60.0
# Enough to gain what joint runs give on CPUs; more only adds latency and memory.
DEFAULT_MAX_BATCH = 32
# At a 60 s limit more than this many waiting requests would mostly be waiting in vain.
DEFAULT_MAX_QUEUE = 1024
MODEL_DIR = Path("/opt/ml/model")  # where SageMaker unpacks the archive
DEFAULT_LEVEL = logging.INFO
# Four times what bf16 makes of a single product (some 0.003), and little enough that rankings stay.
DEFAULT_FPMATH_TOLERANCE = 0.0125
FPMATH_MODES = ("auto", "bf16", "strict")
SKLEARN_METHODS = ("predict", "predict_proba", "decision_function", "transform")
MEDIA_TYPES = (
    "application/json",
    "application/jsonlines",
    "text/csv",
    "application/x-npy",
    "application/x-npz",
)


class SettingError(Exception):
    """A variable holds what cannot be used."""

    def __init__(self, name: str, held: str, takes: str) -> None:
        super().__init__(f"{name} is {held!r}; it takes {takes}")


class Setting(NamedTuple):
    """What sets a field: what its variables take, what it means, and their names."""

    takes: Takes
    meaning: str
    names: tuple[str, ...]


def _setting(takes: Takes, meaning: str, *names: str) -> Setting:
    return Setting(takes, meaning, names)


BYTES = number(1, 2048 * MEGABYTE)
# Names that take the field's value in another unit.
OTHER_UNITS = {"MAX_CONTENT_LENGTH": Takes(f"{BYTES.words}, in bytes", lambda text: BYTES.parse(text) / MEGABYTE)}


class Settings(NamedTuple):
    """Everything that can be set; of several names for one thing the first that is set counts."""

    host: Annotated[str, _setting(TEXT, "address to listen on", "SERVING_HOST")] = "0.0.0.0"  # noqa: S104 (SageMaker's rule)
    port: Annotated[
        int, _setting(number(1, MAX_PORT), "port to listen on", "SAGEMAKER_BIND_TO_PORT", "SERVING_PORT")
    ] = 8080
    model_dir: Annotated[Path, _setting(PATH, "where the model is", "SERVING_MODEL_DIR")] = MODEL_DIR
    default_model: Annotated[
        str,
        _setting(
            NAME,
            "model that answers where a request names none, if the archive has several (else the first by name)",
            "SAGEMAKER_TFS_DEFAULT_MODEL_NAME",
        ),
    ] = ""
    max_payload_mb: Annotated[
        float,
        _setting(
            number(0.001, 2048, float),
            "largest request body, in MB of 2^20 bytes; `MAX_CONTENT_LENGTH` in bytes",
            "SERVING_MAX_PAYLOAD_MB",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB",
            "MAX_CONTENT_LENGTH",
        ),
    ] = DEFAULT_PAYLOAD_MB
    timeout: Annotated[
        float,
        _setting(
            number(0.1, 3600, float),
            "seconds until a request without an answer gets 504",
            "SAGEMAKER_MODEL_SERVER_TIMEOUT",
            "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
        ),
    ] = DEFAULT_TIMEOUT_SECONDS
    default_accept: Annotated[
        str,
        _setting(
            Takes("a media type", media_type),
            "format of answers where the request does not say (else JSON; CSV of XGBoost models); a script may have "
            "its own",
            "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
        ),
    ] = ""
    fpmath: Annotated[
        str,
        _setting(
            choice(*FPMATH_MODES),
            "bf16 for float32 models, where the processor has it: if the model stands it, always, never",
            "SERVING_FPMATH",
        ),
    ] = "auto"
    fpmath_tolerance: Annotated[
        float,
        _setting(
            number(0, 1, float),
            "largest deviation of any output, relative to its largest value, with which auto keeps bf16",
            "SERVING_FPMATH_TOLERANCE",
        ),
    ] = DEFAULT_FPMATH_TOLERANCE
    batch: Annotated[bool, _setting(switch(), "run requests that wait together", "SERVING_BATCH")] = True
    max_batch: Annotated[int, _setting(number(1, 65_536), "most rows of a joint run", "SERVING_MAX_BATCH")] = (
        DEFAULT_MAX_BATCH
    )
    lanes: Annotated[
        int,
        _setting(
            number(0, 256),
            "runs made at once, each on its part of the cores; 0 has it measured which is best (ONNX), else one",
            "SERVING_LANES",
        ),
    ] = 0
    max_queue: Annotated[
        int, _setting(number(1, 1_000_000), "most requests that wait; more get 503", "SERVING_MAX_QUEUE")
    ] = DEFAULT_MAX_QUEUE
    max_bodies_mb: Annotated[
        float,
        _setting(
            number(0, 1_048_576, float),
            "what large request bodies (from 128 kB on) may take together, in MB of 2^20 bytes; further ones are not "
            "read until there is room; 0 is 32 for each core, of which those that come when there is one for each core "
            "already have 8, and no more than a sixteenth of the memory that is left once the model is loaded",
            "SERVING_MAX_BODIES_MB",
        ),
    ] = 0
    script_workers: Annotated[
        int,
        _setting(
            number(0, 256),
            "processes that run the archive's script; 0 is one for each core, from 2 to 8",
            "SAGEMAKER_GUNICORN_WORKERS",
            "SAGEMAKER_MODEL_SERVER_WORKERS",
        ),
    ] = 0
    script_program: Annotated[
        str, _setting(NAME, "file name of the script, `inference.py` unless said otherwise", "SAGEMAKER_PROGRAM")
    ] = ""
    script_source: Annotated[
        str,
        _setting(
            Takes("a folder, file:// or s3://", str.strip),
            "where the script is, if not in `code/` of the archive: a folder, or a `.tar.gz` in S3 or a file",
            "SAGEMAKER_SUBMIT_DIRECTORY",
        ),
    ] = ""
    region: Annotated[str, _setting(NAME, "AWS region of the script's bucket", "SAGEMAKER_REGION", "AWS_REGION")] = ""
    allow_pickle: Annotated[
        bool,
        _setting(
            switch(),
            "load models that are pickles (`.pkl`, `.joblib`), which run code of the archive's when they are loaded",
            "SERVING_ALLOW_PICKLE",
        ),
    ] = True
    skops_trusted: Annotated[
        tuple[str, ...],
        _setting(NAMES, "types besides skops's own that a `.skops` model may have", "SERVING_SKOPS_TRUSTED"),
    ] = ()
    sklearn_method: Annotated[
        str,
        _setting(
            choice(*SKLEARN_METHODS),
            "method of a scikit-learn model that answers where a request names none (else the first of these that it "
            "has)",
            "SERVING_SKLEARN_METHOD",
        ),
    ] = ""
    xgboost_output: Annotated[
        tuple[str, ...],
        _setting(
            Takes("names with commas between", lambda text: names(text.replace(" ", "").lower())),
            "what an XGBoost model answers for each row: of predicted_label, labels, probability, probabilities, "
            "raw_score, raw_scores, predicted_score (else its prediction)",
            "SAGEMAKER_INFERENCE_OUTPUT",
        ),
    ] = ()
    xgboost_ensemble: Annotated[
        bool,
        _setting(
            switch(),
            "have all of several XGBoost models answer together (else the first by name)",
            "SAGEMAKER_INFERENCE_ENSEMBLE",
        ),
    ] = True
    batch_transform: Annotated[
        bool,
        _setting(
            switch(),
            "SageMaker's own, for Batch Transform: an XGBoost model's CSV answers end with a line break",
            "SAGEMAKER_BATCH",
        ),
    ] = False
    log_level: Annotated[
        int,
        _setting(
            Takes("a level's number or name", level), "least severe log lines written", "SAGEMAKER_CONTAINER_LOG_LEVEL"
        ),
    ] = DEFAULT_LEVEL

    @property
    def max_payload_bytes(self) -> int:
        """The largest request body, in bytes."""
        return int(self.max_payload_mb * MEGABYTE)

    @property
    def max_bodies_bytes(self) -> int:
        """What large bodies may take together, in bytes; 0 where the memory decides."""
        return int(self.max_bodies_mb * MEGABYTE)


SETTINGS: Mapping[str, Setting] = {
    field: annotation.__metadata__[0] for field, annotation in Settings.__annotations__.items()
}


def from_environment(environment: Mapping[str, str]) -> Settings:
    """The settings that these variables make; an empty variable counts as unset. Raises SettingError."""
    values = {}
    for field, setting in SETTINGS.items():
        name = next((n for n in setting.names if environment.get(n, "").strip()), None)
        if name is not None:
            values[field] = _parsed(setting, name, environment[name])
    return Settings(**values)


def markdown_table() -> str:
    """The settings as the README's table."""
    lines = ["| variable | default | takes | meaning |", "|---|---|---|---|"]
    for field, setting in SETTINGS.items():
        variables = ", ".join(f"`{name}`" for name in setting.names)
        default = Settings._field_defaults[field]
        shown = logging.getLevelName(DEFAULT_LEVEL) if field == "log_level" else _shown(default)
        lines.append(f"| {variables} | {shown} | {setting.takes.words} | {setting.meaning} |")
    return "\n".join(lines)


def _parsed(setting: Setting, name: str, text: str) -> Any:  # noqa: ANN401 (the field's type)
    takes = OTHER_UNITS.get(name, setting.takes)
    try:
        return takes.parse(text)
    except ValueError:
        raise SettingError(name, text, takes.words) from None


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, tuple):
        return ", ".join(default)
    return f"{default:g}" if isinstance(default, float) else str(default)
