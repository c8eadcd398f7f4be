"""A connection on which bytes are written as they are."""

import re
import socket
from typing import Final, NamedTuple, Self

from harness.bodies import JSON
from harness.servers import Server

BODY: Final = b'{"instances":[[1.5]]}'
"""What `request` asks unless told otherwise."""
PATIENCE: Final = 60


class Answer(NamedTuple):
    """A status, the header fields with names in lower case, and the body."""

    status: int
    fields: dict[str, str]
    body: bytes


class Wire:
    """A connection on which bytes are written as they are, and answers read one by one."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave."""
        self._file.close()
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> Answer:
        """The next answer."""
        status = re.fullmatch(rb"HTTP/1.1 (\d{3}) .*\r\n", self._file.readline())
        assert status
        fields = {}
        while (line := self._file.readline()) != b"\r\n":
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        return Answer(int(status[1]), fields, self._file.read(int(fields.get("content-length", 0))))

    def is_closed(self) -> bool:
        """Whether the server has closed it; waits for that."""
        return self._file.read(1) == b""


def request(body: bytes = BODY, *fields: str, line: str = "POST /invocations HTTP/1.1", kind: str = JSON) -> bytes:
    head = [line, "Host: x", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body
