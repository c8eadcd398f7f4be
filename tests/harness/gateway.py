"""The account's doubles behind one address of loopback, for programs in processes of their own.

botocore sends a service's requests to the address in AWS_ENDPOINT_URL as it would send them to AWS. Which service
and which operation is meant is told by the signature and by the header or path of its protocol; with that, a request
is one as botocore would have made it in the test's process, and the doubles answer it there.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Final

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict

from harness.aws import SURROUNDINGS, Account
from harness.sagemaker import REGION

SIGNATURE: Final = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
INVOCATION: Final = re.compile(r"/endpoints/[^/]+/(?P<way>invocations|async-invocations)")
ACTION: Final = re.compile(rb"Action=(?P<name>\w+)")
INVOCATIONS: Final = {"invocations": "InvokeEndpoint", "async-invocations": "InvokeEndpointAsync"}
# Hosts by the service's name in signatures, where they are called otherwise.
HOSTS: Final = {"ecr": "api.ecr"}
# Of the connection, not of the message.
HOP_BY_HOP: Final = frozenset({"connection", "content-length", "transfer-encoding", "host", "expect"})


@contextmanager
def gateway(account: Account) -> Iterator[Mapping[str, str]]:
    """The variables with which a program finds the account, and AWS nowhere else."""
    one_at_a_time = Lock()
    wrong: list[Exception] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            try:
                with one_at_a_time:
                    answer = _answered(account, self.command, self.path, dict(self.headers), body)
            except Exception as error:  # noqa: BLE001 (told to the test, below; the client is not to try it again)
                wrong.append(error)
                self.send_error(HTTPStatus.BAD_REQUEST, "see the test")
                return
            content = b"".join(answer.raw.stream())
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, str(value))
            self.send_header("Content-Length", answer.headers.get("Content-Length", str(len(content))))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815 (http.server's names)

        def log_message(self, *_: object) -> None:
            """Say nothing: the tests' output is theirs."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield {
                **kept,
                **SURROUNDINGS,
                "AWS_ENDPOINT_URL": address,
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
            }
        finally:
            server.shutdown()
            thread.join()
    if wrong:
        raise ExceptionGroup("the doubles did not answer", wrong)


def _answered(account: Account, method: str, path: str, headers: Mapping[str, str], body: bytes) -> AWSResponse:
    service, operation = _meant(path, headers, body)
    host = f"{HOSTS.get(service, service)}.{REGION}.amazonaws.com"
    given = HeadersDict({name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP})
    given["Host"] = host
    # As botocore has it.
    given["User-Agent"] = headers.get("User-Agent", "").encode()
    if body:
        given["Content-Length"] = str(len(body))
    request = AWSPreparedRequest(method, f"https://{host}{path}", given, body, stream_output=False)
    answer = account.answer(request, f"before-send.{service}.{operation}")
    assert answer is not None, f"no double answers {method} {path}"
    return answer


def _meant(path: str, headers: Mapping[str, str], body: bytes) -> tuple[str, str]:
    """The service and the operation, the latter empty for S3, whose double needs it not."""
    signature = SIGNATURE.search(headers.get("Authorization", ""))
    assert signature, f"a request of nobody's: {path}"
    service = signature["service"]
    invocation = INVOCATION.match(path)
    if invocation:
        return "sagemaker-runtime", INVOCATIONS[invocation["way"]]
    action = ACTION.match(body)
    if action:
        return service, action["name"].decode()
    return service, headers.get("X-Amz-Target", "").rpartition(".")[2]
