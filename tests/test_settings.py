"""Settings come from the environment alone; what cannot be used is named with what it takes."""

import logging
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import THOROUGH
from serving.settings import SETTINGS, SettingError, Settings, from_environment, markdown_table

NAMES = [name for setting in SETTINGS.values() for name in setting.names]


def test_nothing_set_gives_the_defaults_of_sagemaker() -> None:
    settings = from_environment({"PATH": "/bin"})
    assert settings == Settings()
    assert settings.host == "0.0.0.0"  # noqa: S104 (SageMaker's rule)
    assert (settings.port, settings.model_dir) == (8080, Path("/opt/ml/model"))
    assert settings.max_payload_bytes == 25 * 2**20
    assert settings.timeout == 60


def test_an_empty_variable_counts_as_unset() -> None:
    assert from_environment(dict.fromkeys(NAMES, "  ")) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("SERVING_HOST", "::1", "host", "::1"),
        ("SERVING_PORT", "8081", "port", 8081),
        ("SAGEMAKER_BIND_TO_PORT", " 65535 ", "port", 65535),
        ("SERVING_MODEL_DIR", "/models/one", "model_dir", Path("/models/one")),
        ("SERVING_MAX_PAYLOAD_MB", "0.5", "max_payload_mb", 0.5),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "100", "max_payload_mb", 100),
        ("MAX_CONTENT_LENGTH", "20971520", "max_payload_mb", 20),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "0.1", "timeout", 0.1),
        ("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "Text/CSV", "default_accept", "text/csv"),
        ("SERVING_FPMATH", "STRICT", "fpmath", "strict"),
        ("SERVING_BATCH", "off", "batch", False),
        ("SERVING_BATCH", "True", "batch", True),
        ("SERVING_BATCH", "1", "batch", True),
        ("SERVING_BATCH", "0", "batch", False),
        ("SERVING_MAX_BATCH", "1", "max_batch", 1),
        ("SERVING_MAX_QUEUE", "1000000", "max_queue", 10**6),
        ("SERVING_MAX_BODIES_MB", "0.5", "max_bodies_mb", 0.5),
        ("SERVING_ALLOW_PICKLE", "false", "allow_pickle", False),
        ("SERVING_SKOPS_TRUSTED", "a.B, c.D,", "skops_trusted", ("a.B", "c.D")),
        ("SERVING_SKLEARN_METHOD", "predict_proba", "sklearn_method", "predict_proba"),
        ("SAGEMAKER_INFERENCE_OUTPUT", "Labels, raw_score", "xgboost_output", ("labels", "raw_score")),
        ("SAGEMAKER_INFERENCE_ENSEMBLE", "false", "xgboost_ensemble", False),
        ("SAGEMAKER_BATCH", "True", "batch_transform", True),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "10", "log_level", logging.DEBUG),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", " warning", "log_level", logging.WARNING),
    ],
)
def test_each_variable_sets_its_field_and_no_other(name: str, text: str, field: str, value: object) -> None:
    settings = from_environment({name: text})
    changed = {field for field, value in settings._asdict().items() if value != Settings._field_defaults[field]}
    assert getattr(settings, field) == value
    assert changed <= {field}


def test_the_first_of_several_names_counts() -> None:
    assert from_environment({"SERVING_PORT": "1", "SAGEMAKER_BIND_TO_PORT": "2"}).port == 2
    assert from_environment({"SERVING_PORT": "1", "SAGEMAKER_BIND_TO_PORT": ""}).port == 1
    both = {"SERVING_MAX_PAYLOAD_MB": "1", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "2"}
    assert from_environment(both).max_payload_bytes == 2**20


def test_the_limit_of_awss_xgboost_container_is_in_bytes_and_gives_way_to_our_own() -> None:
    theirs = {"MAX_CONTENT_LENGTH": "6291457"}
    assert from_environment(theirs).max_payload_bytes == 6_291_457
    assert from_environment(theirs | {"SERVING_MAX_PAYLOAD_MB": "1"}).max_payload_bytes == 2**20
    with pytest.raises(SettingError, match=r"MAX_CONTENT_LENGTH is '6 MB'; it takes a whole number .* in bytes"):
        from_environment({"MAX_CONTENT_LENGTH": "6 MB"})


@pytest.mark.parametrize(
    ("name", "text", "takes"),
    [
        ("SERVING_PORT", "http", "a whole number from 1 to 65535"),
        ("SERVING_PORT", "0", "a whole number from 1 to 65535"),
        ("SERVING_PORT", "65536", "a whole number from 1 to 65535"),
        ("SERVING_PORT", "80.0", "a whole number from 1 to 65535"),
        ("SERVING_MAX_PAYLOAD_MB", "0", "a number from 0.001 to 2048"),
        ("SERVING_MAX_PAYLOAD_MB", "nan", "a number from 0.001 to 2048"),
        ("SERVING_MAX_PAYLOAD_MB", "inf", "a number from 0.001 to 2048"),
        ("SERVING_MAX_PAYLOAD_MB", "25 MB", "a number from 0.001 to 2048"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "-1", "a number from 0.1 to 3600"),
        ("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "json", "a media type"),
        ("SERVING_FPMATH", "fast", "one of auto, bf16, strict"),
        ("SERVING_BATCH", "yes", "on or off"),
        ("SERVING_MAX_BATCH", "0", "a whole number from 1 to 65536"),
        ("SERVING_MAX_QUEUE", "many", "a whole number from 1 to 1000000"),
        ("SERVING_SKLEARN_METHOD", "fit", "one of predict, predict_proba, decision_function, transform"),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "loud", "a level's number or name"),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "²", "a level's number or name"),
    ],
)
def test_what_cannot_be_used_is_an_error_with_the_name_the_value_and_what_it_takes(
    name: str, text: str, takes: str
) -> None:
    with pytest.raises(SettingError) as raised:
        from_environment({name: text})
    assert str(raised.value) == f"{name} is {text!r}; it takes {takes}"


@THOROUGH
@given(name=st.sampled_from(NAMES), text=st.text(max_size=12) | st.from_regex(r"-?[0-9]{1,7}(\.[0-9]+)?"))
def test_any_value_is_taken_or_a_setting_error(name: str, text: str) -> None:
    with suppress(SettingError):
        settings = from_environment({name: text})
        assert 1 <= settings.port <= 65535
        assert settings.max_payload_bytes > 0


def test_settings_cannot_be_changed_later() -> None:
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]


def test_the_table_has_a_line_for_each_setting_with_every_name() -> None:
    header, rule, *lines = markdown_table().splitlines()
    assert header == "| variable | default | takes | meaning |"
    assert rule == "|---|---|---|---|"
    assert len(lines) == len(SETTINGS)
    for setting, line in zip(SETTINGS.values(), lines, strict=True):
        assert all(f"`{name}`" in line for name in setting.names)
        assert setting.meaning in line
    assert "| INFO |" in lines[-1]
    assert "| `SERVING_BATCH` | on | on or off |" in markdown_table()
    assert "| 60 | a number from 0.1 to 3600 |" in markdown_table()


def test_no_two_settings_share_a_variable() -> None:
    assert len(set(NAMES)) == len(NAMES)
