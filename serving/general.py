"""The general way of a connection: uvicorn's parser, and an ASGI application behind it.

It is imported when a request first takes it, which those that SageMaker sends do not.
"""

import asyncio
from collections.abc import Callable

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from serving.gate import date_now
from serving.ping import Application

Rest = Callable[[], None]


class General:
    """What all connections' exchanges have in common."""

    def __init__(self, application: Application) -> None:
        self.state = ServerState()
        self.config = Config(
            application,
            interface="asgi3",
            http=Exchange,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
        self.config.load()

    def exchange(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, rest: Rest) -> "Exchange":
        """The general way of this connection; `rest` is called whenever it has answered a request."""
        exchange = Exchange(self, loop, rest)
        exchange.connection_made(transport)
        return exchange

    async def finish(self) -> None:
        """Return when no request is being answered."""
        if self.state.tasks:
            await asyncio.wait(self.state.tasks)


class Exchange(HttpToolsProtocol):
    """uvicorn's protocol for one connection, which hands it what the socket has."""

    def __init__(self, general: General, loop: asyncio.AbstractEventLoop, rest: Rest) -> None:
        super().__init__(general.config, general.state, {}, loop)
        self._rest = rest
        self._in_message = False

    @property
    def is_between_messages(self) -> bool:
        """Whether no request is being read or answered."""
        return not self._in_message and (self.cycle is None or self.cycle.response_complete)

    def data_received(self, data: bytes) -> None:
        """The socket has this."""
        self.server_state.default_headers = [(b"date", date_now())]
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._in_message = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Called when an answer has been written."""
        super().on_response_complete()
        self._rest()

    def timeout_keep_alive_handler(self) -> None:
        """The connection has an alarm of its own, for both ways."""
