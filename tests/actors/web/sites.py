"""A real node with a real server, for the tests of the page and the API."""

from __future__ import annotations

import math
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import trio
from attrs import frozen

from schedule_zero.actors import Handler
from schedule_zero.actors.executor import Executor
from schedule_zero.actors.handler import Handlers
from schedule_zero.actors.registry import Registry
from schedule_zero.actors.store import Store, StoreAccess
from schedule_zero.actors.web import Reads, Web, new_token
from schedule_zero.runtime import Clock, Node, SystemClock, child, supervisor


class Echo(Handler):
    """Says what it is told."""

    async def say(self, text: str = "hello", times: int = 1) -> str:
        """Say it."""
        return " ".join([text] * times)

    async def stumble(self) -> None:
        """Fail."""
        raise ValueError("<b>over</b> a stone")

    async def wait(self) -> None:
        """Never end."""
        await trio.sleep(math.inf)


@frozen
class Site:
    """One running node: its address, what opens it, and what is behind it."""

    node: Node
    store: Store
    listener: socket.socket
    token: str

    @property
    def url(self) -> str:
        """The address of its page, without the last slash."""
        host, port = self.listener.getsockname()
        return f"http://{host}:{port}"

    @property
    def port(self) -> int:
        """The port alone."""
        return int(self.listener.getsockname()[1])

    def client(self, token: str | None = None, **options: Any) -> httpx.AsyncClient:
        """An HTTP client that shows the token, or another."""
        shown = {"authorization": f"Bearer {self.token if token is None else token}"}
        return httpx.AsyncClient(base_url=self.url, headers=shown, **options)

    def stranger(self, **options: Any) -> httpx.AsyncClient:
        """An HTTP client that shows nothing."""
        return httpx.AsyncClient(base_url=self.url, **options)


@asynccontextmanager
async def running_site(
    store: Store,
    *,
    token: str | None = None,
    clock: Clock | None = None,
    listener: socket.socket | None = None,
    executor: str = "executor",
) -> AsyncIterator[Site]:
    """A node with registry, a handler, executor and page, on a port of its own."""
    clock = clock or SystemClock()
    token = token or new_token()
    own = listener or listening()
    reads = Reads(_reading(store), "a@1", clock.now(), executor=executor)
    spec = supervisor(
        child("registry", Registry),
        child("handlers", Handlers, [Echo]),
        child("executor", Executor, StoreAccess(store), "a@1", drain=0.1),
        child("web", Web, own, token, reads),
    )
    try:
        async with Node("a", spec, clock=clock) as node:
            yield Site(node, store, own, token)
    finally:
        if listener is None:
            own.close()


def listening() -> socket.socket:
    """A socket that listens on a free port of the loopback."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def _reading(store: Store) -> Any:
    async def read(method: str, /, *args: Any, **kwargs: Any) -> Any:
        call = partial(getattr(store, method), *args, **kwargs)
        return await trio.to_thread.run_sync(call, abandon_on_cancel=True)

    return read
