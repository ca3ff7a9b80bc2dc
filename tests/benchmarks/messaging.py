"""Local messaging: counting, ask, ring, spawn and memory of idle actors."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import trio

from schedule_zero.runtime import (
    Actor,
    ActorRef,
    Node,
    Request,
    child,
    handles,
    message,
    supervisor,
)
from tests.benchmarks.figures import Figure, measure

MESSAGES = 200_000
TRIPS = 50_000
RING = 100
HOPS = 200_000
ACTORS = 20_000


@message
class Add:
    """Add to the counter."""

    amount: int


@message
class Total(Request[int]):
    """The counter's total."""


class Counter(Actor):
    """Counts with plain `def` handlers."""

    def __init__(self) -> None:
        self.total = 0

    @handles
    def add(self, msg: Add) -> None:
        self.total += msg.amount

    @handles
    def report(self, msg: Total) -> int:
        return self.total


class AsyncCounter(Actor):
    """Counts with `async def` handlers."""

    def __init__(self) -> None:
        self.total = 0

    @handles
    async def add(self, msg: Add) -> None:
        self.total += msg.amount

    @handles
    async def report(self, msg: Total) -> int:
        return self.total


class Member(Actor):
    """Passes a number on, one less, until it is zero."""

    def __init__(self, done: trio.Event) -> None:
        self.done = done
        self.next: ActorRef | None = None

    @handles
    def join(self, msg: ActorRef) -> None:
        self.next = msg

    @handles
    def hop(self, msg: int) -> None:
        if msg and self.next is not None:
            self.next.tell(msg - 1)
        else:
            self.done.set()


class Idle(Actor):
    """Does nothing."""


class Spawner(Actor):
    """Spawns many from inside the tree."""

    @handles
    def spawn(self, msg: Add) -> None:
        for _ in range(msg.amount):
            self.context.spawn(Idle)


def run() -> Iterator[Figure]:
    """All figures of this file."""
    for cls, label in ((Counter, "def"), (AsyncCounter, "async def")):
        yield trio.run(_counting, cls, f"counting, {label} handler")
        yield trio.run(_ask, cls, f"ask one by one, {label} handler")
    yield trio.run(_ring)
    yield from trio.run(_spawn)


async def _counting(cls: type[Actor], name: str) -> Figure:
    spec = supervisor(child("counter", cls).options(capacity=MESSAGES + 1))
    async with Node("bench", spec) as node:
        counter, one = node.ref("counter"), Add(1)
        with measure() as taken:
            for _ in range(MESSAGES):
                counter.tell(one)
            assert await counter.ask(Total(), timeout=60) == MESSAGES
    return Figure(name, MESSAGES / taken.seconds, "messages/s")


async def _ask(cls: type[Actor], name: str) -> Figure:
    async with Node("bench", supervisor(child("counter", cls))) as node:
        counter, question = node.ref("counter"), Total()
        with measure() as taken:
            for _ in range(TRIPS):
                await counter.ask(question)
    return Figure(name, TRIPS / taken.seconds, "trips/s")


async def _ring() -> Figure:
    done = trio.Event()
    async with Node("bench") as node:
        members = [await node.spawn(Member, done) for _ in range(RING)]
        for member, following in zip(members, members[1:] + members[:1], strict=True):
            member.tell(following)
        with measure() as taken:
            members[0].tell(HOPS)
            await done.wait()
    return Figure(f"ring of {RING}", HOPS / taken.seconds, "hops/s")


async def _spawn() -> list[Figure]:
    async with Node("bench", supervisor(child("spawner", Spawner))) as node:
        gc.collect()
        before = _resident()
        with measure() as taken:
            node.ref("spawner").tell(Add(ACTORS))
            while len(node.root.children["spawner"].children) < ACTORS:
                await trio.lowlevel.checkpoint()
        gc.collect()
        each = (_resident() - before) / ACTORS
    return [
        Figure("spawn", ACTORS / taken.seconds, "actors/s"),
        Figure("idle actor", each, "bytes"),
    ]


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
