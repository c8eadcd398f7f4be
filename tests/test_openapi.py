"""The documentation page: its example is a request that the server takes, its schema says what else is."""

from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import MODERATE, NUMERIC
from serving.app import build
from serving.codecs import formats
from serving.codecs import json as codec
from serving.lifecycle import Lifecycle
from serving.openapi import EXAMPLE_ELEMENTS, invocations_path, ping_path, row_example
from serving.service import Service
from serving.settings import MEDIA_TYPES, Settings
from serving.signature import Signature
from serving.validation import validate
from signatures import TWO_INPUTS, giving, one_input, sequence, spec, taking

FORMATS = formats(10**6)
SIGNATURES = {
    "rows": one_input(),
    "scalars": one_input(shape=("N",)),
    "columns of one": one_input(shape=("N", 1)),
    "free axes": one_input(shape=("N", "L", "M")),
    "square": one_input(shape=("N", "N")),
    "fixed batch": one_input(shape=(2, 3)),
    "no axes": one_input(shape=()),
    "text": one_input("string", ("N", 2)),
    "two inputs": TWO_INPUTS,
    "two inputs, one without axes": taking(spec("a"), spec("k", "int64", ())),
    "maps": giving(sequence()),
} | {dtype: one_input(dtype) for dtype in NUMERIC}

Document = dict[str, Any]
KINDS: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "string": (str,), "boolean": ()}


def json_content(signature: Signature | None) -> Document:
    content: Document = invocations_path(signature, FORMATS)["post"]["requestBody"]["content"]["application/json"]
    return content


def conforms(value: object, schema: Document) -> bool:
    """Whether a value is one of the schema, as far as this page's schemas go."""
    known = {"type", "items", "minItems", "maxItems", "properties", "required", "anyOf", "oneOf", "title"}
    assert schema.keys() <= known
    if "oneOf" in schema:
        return sum(conforms(value, each) for each in schema["oneOf"]) == 1
    if "anyOf" in schema:
        return any(conforms(value, each) for each in schema["anyOf"])
    if schema["type"] == "array":
        sized = isinstance(value, list) and schema.get("minItems", 0) <= len(value) <= schema.get(
            "maxItems", len(value)
        )
        return sized and all(conforms(item, schema["items"]) for item in cast("list[object]", value))
    if schema["type"] == "object":
        named = isinstance(value, dict) and all(name in value for name in schema["required"])
        given = cast("dict[str, object]", value)
        return named and all(
            conforms(given[name], each) for name, each in schema["properties"].items() if name in given
        )
    if isinstance(value, bool):
        return bool(schema["type"] == "boolean")
    return isinstance(value, KINDS[schema["type"]])


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
def test_the_example_is_a_request_that_the_server_takes_and_the_schema_describes(signature: Signature) -> None:
    content = json_content(signature)
    inputs = validate(codec.decode(orjson.dumps(content["example"]), signature).inputs, signature)
    assert list(inputs) == signature.input_names
    assert conforms(content["example"], content["schema"])


@pytest.mark.parametrize(
    "body",
    [
        b"[[1, 2, 3]]",
        b'{"inputs": [[1, 2, 3]]}',
        b'{"inputs": {"x": [[1, 2, 3]]}}',
        b'{"instances": [{"x": [1, 2, 3]}]}',
    ],
)
def test_the_schema_describes_every_form(body: bytes) -> None:
    assert conforms(orjson.loads(body), json_content(one_input())["schema"])


@pytest.mark.parametrize(
    "body", [b"3", b"[[1, 2]]", b'[["a", 2, 3]]', b"{}", b'{"inputs": {"z": 1}}', b'{"instances": 1}']
)
def test_the_schema_describes_nothing_else(body: bytes) -> None:
    assert not conforms(orjson.loads(body), json_content(one_input())["schema"])


@pytest.mark.parametrize("dtype", [*NUMERIC, "string"])
@MODERATE
@given(shape=st.lists(st.sampled_from(["L", 1, 2, 3]), max_size=3).map(lambda rest: ("N", *rest)))
def test_any_model_of_one_input_has_an_example_that_the_server_takes(dtype: str, shape: tuple[int | str, ...]) -> None:
    signature = one_input(dtype, shape)
    example = row_example(signature)
    assert example is not None
    validate(codec.decode(orjson.dumps(example), signature).inputs, signature)


def test_a_large_input_has_a_schema_and_no_example() -> None:
    content = json_content(one_input(shape=("N", EXAMPLE_ELEMENTS + 1)))
    assert content.keys() == {"schema"}


def test_until_the_model_is_loaded_the_page_tells_the_formats() -> None:
    operation = invocations_path(None, FORMATS)["post"]
    assert operation["requestBody"]["content"] == {name: dict[str, Any]() for name in MEDIA_TYPES}
    assert "being loaded" in operation["description"]


def test_the_description_lists_inputs_and_outputs() -> None:
    description = invocations_path(giving(spec("y", "int64", ("N",)), sequence()), FORMATS)["post"]["description"]
    for line in ("* `x`: float32 [N, 3]", "* `y`: int64 [N]", "* `maps`: seq(map(int64,tensor(float)))"):
        assert line in description


@pytest.mark.parametrize("signature", [None, *SIGNATURES.values()], ids=["loading", *SIGNATURES])
def test_answers_and_errors_are_described(signature: Signature | None) -> None:
    responses = invocations_path(signature, FORMATS)["post"]["responses"]
    assert list(responses["200"]["content"]) == list(MEDIA_TYPES)
    for status in ("4XX", "5XX"):
        schema = responses[status]["content"]["application/json"]["schema"]
        assert conforms({"code": "wrong_rank", "error": "what, expected, got"}, schema)
        assert not conforms({"error": "no code"}, schema)


def test_the_health_check_is_described_for_both_methods() -> None:
    assert ping_path().keys() == {"get", "post"}
    assert ping_path()["get"]["responses"].keys() == {"200", "503"}


def test_the_whole_document_is_one_of_openapi() -> None:
    document = build(Service(Settings(), Lifecycle())).openapi()
    assert document["openapi"].startswith("3.")
    assert document["info"].keys() >= {"title", "version"}
    assert document["paths"].keys() == {"/ping", "/invocations", "/metrics", "/execution-parameters"}
    for path in document["paths"].values():
        for method, operation in path.items():
            assert method in ("get", "post")
            assert operation["summary"]
            assert all(response["description"] for response in operation["responses"].values())
    assert orjson.loads(orjson.dumps(document)) == document
