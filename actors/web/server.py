"""Hypercorn on a socket that listens already. Imported when the server starts."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any, cast

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from schedule_zero.actors.web.errors import ServerFailed
from schedule_zero.actors.web.guard import App

GRACE = 1.0
"""Seconds that open requests have to end once the server stops."""


class Server:
    """Serves `app` on `listener`, which stays open when the server ends.

    `accepting` is set once connections are accepted; `stop()` ends `run()` well.
    """

    def __init__(self, app: App, listener: socket.socket) -> None:
        self._app = app
        self._listener = listener
        self._stop = trio.Event()
        self._ended = trio.Event()
        self.accepting = trio.Event()

    async def run(self) -> None:
        """Serve until stopped. Raises `ServerFailed` when it ends in another way."""
        descriptor = os.dup(self._listener.fileno())
        status = _Status(descriptor, self.accepting)
        try:
            await serve(
                cast("Any", self._app),
                _config(descriptor),
                shutdown_trigger=self._stop.wait,
                task_status=cast("Any", status),
                mode="asgi",
            )
        except Exception as error:
            raise ServerFailed(f"the web server failed: {_causes(error)}") from error
        finally:
            self._ended.set()
        if not self._stop.is_set():
            raise ServerFailed("the web server ended by itself")

    async def stop(self) -> None:
        """Accept no more, give open requests a moment, and return when all has ended."""
        self._stop.set()
        with trio.move_on_after(2 * GRACE):
            await self._ended.wait()


class _Status:
    """Told by Hypercorn when it accepts: the one moment to touch what it made of our socket."""

    def __init__(self, descriptor: int, accepting: trio.Event) -> None:
        self._descriptor = descriptor
        self._accepting = accepting

    def started(self, value: object = None) -> None:
        # No job's child process may hold the port.
        os.set_inheritable(self._descriptor, False)  # noqa: FBT003
        self._accepting.set()


def _config(descriptor: int) -> Config:
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.graceful_timeout = GRACE
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    return config


def _causes(error: BaseException) -> str:
    """What lies at the bottom of nested exception groups."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_causes(each) for each in error.exceptions)
    return f"{type(error).__name__}: {error}"
