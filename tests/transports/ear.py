"""Listens to one transport and keeps what was not asked for yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from schedule_zero.transports import Event, Link, LinkDown, LinkUp, Received, Transport
from tests.transports.worlds import World


class Ear:
    """What has happened on a transport, to be asked for."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.heard: list[Event] = []

    async def first(self, wanted: Callable[[Event], bool]) -> Event:
        """The first event that is wanted and was not taken yet, waiting for it."""
        while True:
            for event in self.heard:
                if wanted(event):
                    self.heard.remove(event)
                    return event
            self.heard += await self.transport.receive()

    async def up(self) -> Link:
        """The next link that comes up."""
        event = await self.first(lambda event: isinstance(event, LinkUp))
        return event.link

    async def down(self, link: Link) -> str:
        """Wait until this link is down; why."""
        event = await self.first(lambda event: isinstance(event, LinkDown) and event.link is link)
        assert isinstance(event, LinkDown)
        return event.reason

    async def frame(self, link: Link) -> bytes:
        """The next frame of this link."""
        event = await self.first(lambda event: isinstance(event, Received) and event.link is link)
        assert isinstance(event, Received)
        return event.frame

    async def frames(self, link: Link, count: int) -> list[bytes]:
        """The next frames of this link."""
        return [await self.frame(link) for _ in range(count)]

    def of(self, link: Link) -> list[Event]:
        """What has been heard of a link and not asked for."""
        return [event for event in self.heard if event.link is link]


class Pair:
    """Two hosts with one link: `a` made it, `b` listens at `endpoint`."""

    def __init__(self, a: Transport, b: Transport, endpoint: str) -> None:
        self.a, self.b = a, b
        self.ear_a, self.ear_b = Ear(a), Ear(b)
        self.endpoint = endpoint
        self.from_a: Link
        self.from_b: Link

    async def meet(self) -> None:
        """Wait until both have the link."""
        self.from_a = await self.ear_a.up()
        self.from_b = await self.ear_b.up()


@asynccontextmanager
async def pair(world: World, **options: object) -> AsyncIterator[Pair]:
    """Two hosts with one link; `options` are those of `b`."""
    async with world.open("a") as a, world.open("b", **options) as b:
        endpoint = await b.listen(world.endpoint("b"))
        a.connect(endpoint, world.key("b"))
        both = Pair(a, b, endpoint)
        await both.meet()
        yield both
