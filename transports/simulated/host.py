"""One host's transport on the simulated network."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from schedule_zero.transports.backoff import Backoff
from schedule_zero.transports.base import Event, Link
from schedule_zero.transports.errors import BadEndpoint, EndpointInUse, FrameTooLarge, LinkLost
from schedule_zero.transports.simulated.agenda import Agenda
from schedule_zero.transports.simulated.end import End
from schedule_zero.transports.turns import Turns

if TYPE_CHECKING:
    from schedule_zero.transports.simulated.network import SimulatedNetwork

_SCHEME = "sim://"


class SimulatedTransport:
    """The transport of one host; made by `SimulatedNetwork.transport`."""

    def __init__(self, network: SimulatedNetwork, host: str, user: str, max_frame: int) -> None:
        self.network = network
        self.name = host
        self.user = user
        self.max_frame = max_frame
        self.refused: Counter[str] = Counter()
        self.turns = Turns()
        self.agenda = Agenda()
        self.is_dead = False
        self.listens = False
        self._ends: dict[Link, End] = {}
        self._kept: dict[str, trio.CancelScope] = {}
        self._reached: dict[str, End] = {}

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """The host's life."""
        left: BaseException | None = None
        async with trio.open_nursery() as nursery:
            await nursery.start(self._work)
            try:
                yield
            except Exception as error:  # as it is, and not in a group
                left = error
            finally:
                self.close("closed")
        if left is not None:
            raise left

    async def _work(self, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await self.agenda.run()

    def close(self, reason: str) -> None:
        """End in order: what was sent arrives, then the other ends go down."""
        if not self.is_dead:
            for end in list(self._ends.values()):
                end.drop(reason)
            self.stop()

    def stop(self) -> None:
        """End without a word."""
        self.is_dead = True
        self.listens = False
        self.network.remove(self)
        self._nursery.cancel_scope.cancel()

    # The contract

    async def listen(self, endpoint: str) -> str:
        """Accept links. The endpoint has to be `sim://` and this host's name."""
        await trio.lowlevel.checkpoint()
        if _host_of(endpoint) != self.name:
            raise BadEndpoint(endpoint, f"this host is {self.name!r}")
        if self.listens:
            raise EndpointInUse(endpoint)
        self.listens = True
        return endpoint

    def connect(self, endpoint: str, key: str = "") -> None:
        """Keep a link to that endpoint; there are no keys here."""
        _host_of(endpoint)
        if endpoint not in self._kept and not self.is_dead:
            self._kept[endpoint] = scope = trio.CancelScope()
            self._nursery.start_soon(self._keep, endpoint, scope, name=f"keep {endpoint}")

    def disconnect(self, endpoint: str) -> None:
        """End the link to that endpoint and keep it no longer."""
        scope = self._kept.pop(endpoint, None)
        if scope is not None:
            scope.cancel()
        if endpoint in self._reached:
            self._reached[endpoint].end("disconnected")

    def drop(self, link: Link, reason: str) -> None:
        """End a link: no event of it comes any more."""
        if link in self._ends:
            self._ends[link].drop(reason)

    async def send(self, link: Link, frame: bytes) -> None:
        """Hand over one frame, waiting while too many are under way on this link."""
        if len(frame) > self.max_frame:
            raise FrameTooLarge(len(frame), self.max_frame)
        end = self._ends.get(link)
        if end is None or end.reason:
            raise LinkLost(link.address, end.reason if end is not None else "it has ended")
        if frame and not await end.peer.send(bytes(frame)):
            raise LinkLost(link.address, end.reason)

    async def receive(self) -> list[Event]:
        """What has happened since."""
        return await self.turns.receive()

    # Links

    async def _keep(self, endpoint: str, scope: trio.CancelScope) -> None:
        """Connect again and again."""
        backoff = Backoff(self.network.random.random)
        with scope:
            while True:
                end = await self.network.connect(self, endpoint, _host_of(endpoint))
                if end is not None:
                    since = trio.current_time()
                    self._reached[endpoint] = end
                    await end.finished.wait()
                    backoff.lived(trio.current_time() - since)
                await trio.sleep(backoff.next())

    def adopt(self, end: End) -> None:
        """One more end of this host."""
        self._ends[end.link] = end

    def forget(self, end: End) -> None:
        """An end of this host whose last event was given."""
        self._ends.pop(end.link, None)
        if self._reached.get(end.link.endpoint) is end:
            del self._reached[end.link.endpoint]


def _host_of(endpoint: str) -> str:
    host = endpoint.removeprefix(_SCHEME)
    if host == endpoint or not host:
        raise BadEndpoint(endpoint, f"the simulated network has {_SCHEME}HOST alone")
    return host
