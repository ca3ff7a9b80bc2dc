"""Whatever befalls links, each one's life is as promised."""

from __future__ import annotations

from collections import Counter

import trio

from schedule_zero.runtime.chance import Chance
from schedule_zero.transports import Link, LinkDown, LinkLost, LinkUp, Received, Transport
from tests.transports.worlds import World, every_world

HOSTS = ["n0", "n1", "n2"]
OPERATIONS = 150


class Lives:
    """The links of one host: each is up first, then has frames in order, and ends once."""

    def __init__(self, name: str, transport: Transport, counts: Counter[str]) -> None:
        self.name = name
        self.transport = transport
        self.up: dict[Link, tuple[bytes, int]] = {}
        self.over: dict[Link, str] = {}
        self.counts = counts
        self._links = 0

    def drop(self, link: Link) -> None:
        self.transport.drop(link, "chance")
        del self.up[link]
        self.over[link] = "dropped"
        self.counts["dropped"] += 1

    async def listen(self, nursery: trio.Nursery) -> None:
        while True:
            for event in await self.transport.receive():
                self.counts[type(event).__name__] += 1
                assert event.link not in self.over, f"an event after the link was over: {event}"
                if isinstance(event, LinkUp):
                    assert event.link not in self.up
                    self.up[event.link] = b"", -1
                    self._links += 1
                    name = f"{self.name}/{self._links}"
                    nursery.start_soon(self.talk, event.link, name.encode())
                elif isinstance(event, Received):
                    self.check(event)
                else:
                    assert isinstance(event, LinkDown)
                    assert event.reason
                    del self.up[event.link]
                    self.over[event.link] = event.reason

    def check(self, event: Received) -> None:
        """One link carries the frames of one link, from the first on, without a gap."""
        source, number = event.frame.strip(b"x").split()
        known, last = self.up[event.link]
        assert known in (b"", source)
        assert int(number) == last + 1
        self.up[event.link] = source, last + 1

    async def talk(self, link: Link, name: bytes) -> None:
        try:
            for number in range(100_000):
                size = 30_000 if number % 10 == 9 else 10
                await self.transport.send(link, b"%s %d" % (name, number) + b"x" * size)
                if number % 7 == 6:
                    await trio.sleep(0.001)
        except LinkLost:
            self.counts["LinkLost"] += 1


@every_world
async def test_each_link_is_up_then_in_order_then_down_whatever_befalls_it(world: World) -> None:
    chance, counts = Chance(11), Counter[str]()

    def draw(count: int) -> int:
        return int(chance.random() * count)

    async def live(name: str, restarts: int) -> None:
        for _ in range(restarts):
            async with world.open(name) as transport, trio.open_nursery() as nursery:
                lives = Lives(name, transport, counts)
                places[name] = await transport.listen(places[name])
                nursery.start_soon(lives.listen, nursery)
                for _ in range(OPERATIONS // restarts):
                    await trio.sleep(0.02 * chance.random())
                    other = HOSTS[draw(3)]
                    if lives.up and draw(4) == 0:
                        lives.drop(list(lives.up)[draw(len(lives.up))])
                    elif other != name and draw(3):
                        transport.connect(places[other], world.key(other))
                    else:
                        transport.disconnect(places[other])
                nursery.cancel_scope.cancel()
            assert set(transport.refused) <= {"handshake", "dropped"}

    places = {name: world.endpoint(name) for name in HOSTS}
    for name in HOSTS:  # ports are known to all before anything begins
        async with world.open(name) as transport:
            places[name] = await transport.listen(places[name])
    async with trio.open_nursery() as nursery:
        for index, name in enumerate(HOSTS):
            nursery.start_soon(live, name, index + 1)
    assert counts["Received"] > 1_000
    assert min(counts[kind] for kind in ("LinkUp", "LinkDown", "LinkLost", "dropped")) > 5
