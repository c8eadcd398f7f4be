"""The least that HTTP costs with uvicorn: a bare ASGI application that reads the body and says nothing of it.

python -m benchmarks.echo PORT
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

# About what a thousand float32 take, the most that a workload's answer has.
BODY = b"[" + b"0.123456," * 600 + b"0]"
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
Message = dict[str, Any]


async def echo(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer one request."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    uvicorn.run(echo, port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="warning", access_log=False)
