"""The actor that serves the page and the API."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING

from schedule_zero.actors.errors import ConfigError
from schedule_zero.actors.web.auth import Access
from schedule_zero.actors.web.reads import Reads
from schedule_zero.runtime import Actor, Reason

if TYPE_CHECKING:
    from schedule_zero.actors.web.server import Server

_NEEDED = ("hypercorn", "jinja2", "litestar")


def check_installed() -> None:
    """Raise `ConfigError` if the packages that the page needs are not installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the page needs packages that are not installed ({', '.join(missing)}): "
            "pip install 'schedule-zero[web]', or run without the page"
        )


class Web(Actor):
    """Serves the node's page and HTTP API on `listener`, a socket that is bound and listening.

    The socket stays its owner's and open: a restarted Web serves on the same port. `token` opens
    everything but `/api/health` (see `new_token`); `reads` is where the answers come from. When
    `on_start` has returned, the server accepts connections; if it fails, the actor fails.

    Raises `ConfigError` for a token that could be guessed, and at its start when the `web` extra
    is not installed.

    Example::

        child("web", Web, listener, new_token(), Reads(read, "a@1", clock.now()))
    """

    def __init__(self, listener: socket.socket, token: str, reads: Reads) -> None:
        port = listener.getsockname()[1]
        self._listener = listener
        self._reads = reads
        self._access = Access(token, f"schedule_zero_{port}")
        self._server: Server | None = None

    async def on_start(self) -> None:
        """Serve; returns when connections are accepted."""
        check_installed()
        node = self.context.node
        server = await node.run_blocking(self._prepare)
        self._server = server
        self.context.start_task(server.run)
        await server.accepting.wait()

    async def on_stop(self, reason: Reason) -> None:
        """Let open requests end, within a second."""
        if self._server is not None:
            await self._server.stop()

    def _prepare(self) -> Server:
        """Import and build, in a thread: Litestar takes a third of a second."""
        from schedule_zero.actors.web.application import build
        from schedule_zero.actors.web.server import Server

        return Server(build(self.context.node, self._reads, self._access), self._listener)
