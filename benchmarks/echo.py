"""The least that HTTP costs: servers that read a request's body and answer with a right answer, whatever was asked.

    ANSWER=FILE MEDIA_TYPE=TYPE python -m benchmarks.echo [--asgi] PORT

Without --asgi a protocol on uvloop that does nothing else, which nothing in Python can pass; it is what the limit
is made of. With --asgi a bare application behind uvicorn, as any framework on ASGI has it at best.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import uvicorn
import uvloop

# Bodies of several MB come in pieces of at most this size: what fits the processor's second cache.
PIECE = 2**18
LENGTH, END = b"content-length:", b"\r\n\r\n"
Message = dict[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


class Echo(asyncio.BufferedProtocol):
    """Counts the bytes of one request after the other and answers when it is whole; nothing is copied."""

    def __init__(self, answer: bytes, media_type: str) -> None:
        self._response = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer
        )
        self._piece = bytearray(PIECE)
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the next piece goes."""
        del sizehint
        return self._piece

    def buffer_updated(self, nbytes: int) -> None:
        """A piece has come: of a body, or a head and what follows it (heads come whole from wrk)."""
        if not self._missing:
            body = self._piece.index(END, 0, nbytes) + len(END)
            head = bytes(self._piece[:body]).lower()
            start = head.index(LENGTH) + len(LENGTH)
            self._missing = body + int(head[start : head.index(b"\r", start)])
        self._missing -= nbytes
        if not self._missing:
            self._transport.write(self._response)


def application(answer: bytes, media_type: str) -> Application:
    """The same for ASGI."""
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(answer)).encode())]

    async def echo(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return echo


async def _serve(answer: bytes, media_type: str, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Echo(answer, media_type), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    """Serve until it is ended."""
    *options, port = sys.argv[1:]
    answer, media_type = Path(os.environ["ANSWER"]).read_bytes(), os.environ["MEDIA_TYPE"]
    if options == ["--asgi"]:
        uvicorn.run(
            application(answer, media_type),
            port=int(port),
            loop="uvloop",
            http="httptools",
            log_level="warning",
            access_log=False,
        )
    else:
        uvloop.run(_serve(answer, media_type, int(port)))


if __name__ == "__main__":
    main()
