"""Asking a bare ASGI application, without a server."""

from serving.lifecycle import Lifecycle, State
from serving.ping import Application, Message, Receive, Scope, Send


def scope_of(path: str = "/ping", method: str = "GET") -> Scope:
    return {"type": "http", "path": path, "method": method}


async def nothing() -> Message:
    raise AssertionError("this request has no body to read")


class Answer:
    """Collects what an application sends."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.messages[1:])


async def ask(application: Application, scope: Scope) -> Answer:
    answer = Answer()
    await application(scope, nothing, answer)
    return answer


async def teapot(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers everything in the same way."""
    del scope, receive
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"tea"})


def in_state(state: State) -> Lifecycle:
    lifecycle = Lifecycle()
    lifecycle.enter(state)
    return lifecycle
