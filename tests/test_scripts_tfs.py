"""The contract of AWS's TensorFlow Serving container, function by function."""

import http.server
import json
from collections.abc import Callable, Iterator
from threading import Thread
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from serving.scripts import tfs
from serving.scripts.contract import Answer, Call, Handler, ScriptError

FIELDS = (
    "model_name",
    "model_version",
    "method",
    "rest_uri",
    "grpc_port",
    "channel",
    "custom_attributes",
    "request_content_type",
    "accept_header",
    "content_length",
    "timeout",
)


def call(body: bytes = b"", **options: Any) -> Call:  # noqa: ANN401 (any field)
    given = {
        "content_type": "text/csv",
        "accept": "text/plain",
        "custom_attributes": None,
        "model_name": None,
        "model_version": None,
        "method": None,
        "rest_uri": "http://127.0.0.1:9/v1/models/m:predict",
        "timeout": 60.0,
    }
    return Call(body=body, **{**given, **options})


def script(**functions: object) -> ModuleType:
    module = ModuleType("inference")
    vars(module).update(functions)
    return module


def handler_of(**functions: object) -> Handler:
    found = tfs.handler(script(**functions))
    assert found is not None
    return found


def returning(value: object) -> Handler:
    return handler_of(handler=lambda _data, _context: value)


def test_the_context_has_the_fields_of_that_containers() -> None:
    asked = call(
        b"1,2",
        custom_attributes="tfs-model-name=half",
        model_name="half",
        model_version="2",
        method="predict",
        timeout=7.5,
    )
    context = tfs.context_of(asked)
    assert context._fields == FIELDS
    assert (context.model_name, context.model_version, context.method) == ("half", "2", "predict")
    assert context.rest_uri == asked.rest_uri
    assert context.custom_attributes == "tfs-model-name=half"
    assert (context.request_content_type, context.accept_header) == ("text/csv", "text/plain")
    assert (context.content_length, context.timeout) == (3, 7.5)


def test_content_types_that_are_not_stated_are_json() -> None:
    context = tfs.context_of(call(content_type="", accept=""))
    assert (context.request_content_type, context.accept_header) == ("application/json", "application/json")
    assert (context.model_name, context.model_version, context.method, context.custom_attributes) == (None,) * 4


@pytest.mark.parametrize(
    "use",
    [
        lambda context: f"localhost:{context.grpc_port}",
        lambda context: "localhost:" + str(context.grpc_port),
        lambda context: int(context.grpc_port),
        lambda context: context.channel.unary_unary("/method"),
        lambda context: context.channel.close,
    ],
)
def test_grpc_fails_with_a_reason_when_it_is_used(use: Callable[[Any], object]) -> None:
    with pytest.raises(NotImplementedError, match=r"POST to context\.rest_uri"):
        use(tfs.context_of(call()))


def test_the_context_can_be_printed_all_the_same() -> None:
    assert "grpc_port=<no gRPC server>" in str(tfs.context_of(call()))
    assert not hasattr(tfs.context_of(call()).channel, "__len__")


def test_the_handler_reads_a_stream_and_answers_text_or_bytes() -> None:
    upper = handler_of(handler=lambda data, context: (data.read().decode().upper(), context.accept_header))
    assert upper(call(b"abc")) == Answer(b"ABC", "text/plain")
    assert returning((b"\x00", "a/b"))(call()) == Answer(b"\x00", "a/b")
    assert returning([bytearray(b"\x00"), "a/b"])(call()) == Answer(b"\x00", "a/b")
    assert returning(("é", None))(call()) == Answer("é".encode(), "application/json")


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        (None, "got NoneType"),
        ("text", "got str"),
        ({"predictions": [1], "b": 2}, "got dict"),
        ((b"", "a/b", 200), "got 3 values"),
        ((b"",), "got 1 values"),
        (({"a": 1}, "a/b"), "type str or bytes to be returned, got dict"),
        ((b"", 200), "got 200"),
        ((b"", "a/b\r\nx-injected: 1"), "expected a content type"),
        ((b"", "ä"), "expected a content type"),
    ],
)
def test_what_is_no_answer_is_said(returned: object, complaint: str) -> None:
    with pytest.raises(ScriptError, match=complaint):
        returning(returned)(call())


def test_handler_wins() -> None:
    both = handler_of(
        handler=lambda _data, _context: ("whole", "a/b"),
        input_handler=lambda _data, _context: pytest.fail("not this one"),
        output_handler=lambda _data, _context: pytest.fail("not this one"),
    )
    assert both(call()).body == b"whole"


@pytest.mark.parametrize(
    "functions",
    [{}, {"input_handler": print}, {"output_handler": print}, {"handler": "no function"}, {"model_fn": print}],
)
def test_other_scripts_are_not_this_contracts(functions: dict[str, object]) -> None:
    assert tfs.handler(script(**functions)) is None


class Model(http.server.BaseHTTPRequestHandler):
    """Answers what it was sent, with status 400 for `bad`."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(400 if body == b"bad" else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"got": body.decode()}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def model() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/models/m:predict"
        server.shutdown()


def test_the_model_is_between_the_two_handlers(model: str) -> None:
    seen = SimpleNamespace()

    def output_handler(response: Any, context: Any) -> tuple[bytes, str]:  # noqa: ANN401 (as scripts have them)
        seen.status, seen.document = response.status_code, response.json()
        return response.content, context.accept_header

    around = handler_of(input_handler=lambda data, _: data.read().decode() + "!", output_handler=output_handler)
    assert around(call(b"abc", rest_uri=model)) == Answer(b'{"got": "abc!"}', "text/plain")
    assert (seen.status, seen.document) == (200, {"got": "abc!"})


def test_the_output_handler_gets_errors_too(model: str) -> None:
    around = handler_of(
        input_handler=lambda _data, _context: "bad",
        output_handler=lambda response, _context: (str(response.status_code), "text/plain"),
    )
    assert around(call(rest_uri=model)).body == b"400"
