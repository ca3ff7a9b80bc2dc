"""The transports that the conformance suite runs on, each with its hosts, endpoints and keys."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest
import trio

from schedule_zero.runtime.chance import Chance
from schedule_zero.transports import Transport
from schedule_zero.transports.curve import KeyPair, make_key_pair
from schedule_zero.transports.simulated import Conditions, SimulatedNetwork
from schedule_zero.transports.zmq import zmq_transport
from tests.runtime.virtual import run_virtual

PATIENCE = 30


class World(Protocol):
    """Makes transports that can reach each other."""

    def open(self, name: str, **options: Any) -> AbstractAsyncContextManager[Transport]:
        """The transport of a host."""

    def endpoint(self, name: str) -> str:
        """Where that host listens."""

    def key(self, name: str) -> str:
        """That host's public key, empty without keys."""

    def user(self, name: str) -> str:
        """What links to that host have as their user."""

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run a test on this world's clock."""


class Simulated:
    """The simulated network, on virtual time."""

    def __init__(self, folder: Path) -> None:
        conditions = Conditions(delay=0.001, jitter=0.002)
        self._network = SimulatedNetwork(Chance(7), conditions)

    def open(self, name: str, **options: Any) -> AbstractAsyncContextManager[Transport]:
        return self._network.transport(name, user=self.user(name), **options)

    def endpoint(self, name: str) -> str:
        return f"sim://{name}"

    def key(self, name: str) -> str:
        return ""

    def user(self, name: str) -> str:
        return f"node {name}"

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        run_virtual(_patiently, main)


class Zmq:
    """ZeroMQ, on real time."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self._host = host
        self.random = Chance(7)

    def open(self, name: str, **options: Any) -> AbstractAsyncContextManager[Transport]:
        return zmq_transport(random=self.random.random, **options)

    def endpoint(self, name: str) -> str:
        return f"tcp://{self._host}:0"

    def key(self, name: str) -> str:
        return ""

    def user(self, name: str) -> str:
        return ""

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        trio.run(_patiently, main)


class Ipc(Zmq):
    """ZeroMQ over socket files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder

    def endpoint(self, name: str) -> str:
        return f"ipc://{self._folder}/{name}.sock"


class Curve(Zmq):
    """ZeroMQ with keys."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._pairs: dict[str, KeyPair] = {}
        self.allowed: dict[str, str] = {}

    def open(self, name: str, **options: Any) -> AbstractAsyncContextManager[Transport]:
        return super().open(name, keys=self._keys(name), allowed=self.allowed, **options)

    def key(self, name: str) -> str:
        return self._keys(name).public

    def user(self, name: str) -> str:
        return f"node {name}"

    def _keys(self, name: str) -> KeyPair:
        if name not in self._pairs:
            self._pairs[name] = keys = make_key_pair()
            self.allowed[keys.public] = self.user(name)
        return self._pairs[name]


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


WORLDS: dict[str, Callable[[Path], World]] = {
    "simulated": Simulated,
    "tcp": Zmq,
    "ipc": Ipc,
    "curve": Curve,
}
if _has_ipv6():
    WORLDS["ipv6"] = partial(Zmq, host="[::1]")


def every_world(test: Callable[[World], Awaitable[None]]) -> Callable[[World, Path], None]:
    """Run a test on each transport."""

    @pytest.mark.parametrize("make", WORLDS.values(), ids=WORLDS)
    def run(make: Callable[[Path], World], tmp_path: Path) -> None:
        world = make(tmp_path)

        async def main() -> None:
            await test(world)

        world.run(main)

    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    return run


async def _patiently(main: Callable[[], Awaitable[None]]) -> None:
    with trio.fail_after(PATIENCE):
        await main()
