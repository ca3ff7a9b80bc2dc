"""Local messaging, ours: counting, ring, ask, spawn, stop and the memory of idle actors.

`FIGURES` is what `contest.py` names; each function takes how many, and returns a rate or megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

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
from tests.benchmarks import contest
from tests.benchmarks.figures import Figure, measure, resident
from tests.benchmarks.fresh import measured

RING = 100
BLOCK = 1_000


@message
class Add:
    """Add to the counter."""

    amount: int


@message
class Total(Request[int]):
    """The counter's total."""


@message
class Times(Request[float]):
    """Do something so many times: how much of it a second, or the megabytes that it took."""

    count: int


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


class Asker(Actor):
    """Asks another actor, which is idle each time, for its total."""

    def __init__(self, asked: ActorRef) -> None:
        self.asked = asked

    @handles
    async def run(self, msg: Times) -> float:
        asked, question = self.asked, Total()
        with measure() as taken:
            for _ in range(msg.count):
                await asked.ask(question)
        return msg.count / taken.seconds


class Joined(Actor):
    """Stands in a ring."""

    def __init__(self, done: trio.Event) -> None:
        self.done = done
        self.next: ActorRef | None = None

    @handles
    def join(self, msg: ActorRef) -> None:
        self.next = msg


class Member(Joined):
    """Passes a number on, one less, until it is zero."""

    @handles
    def hop(self, msg: int) -> None:
        if msg and self.next is not None:
            self.next.tell(msg - 1)
        else:
            self.done.set()


class AsyncMember(Joined):
    """The same with an `async def` handler."""

    @handles
    async def hop(self, msg: int) -> None:
        if msg and self.next is not None:
            self.next.tell(msg - 1)
        else:
            self.done.set()


class Idle(Actor):
    """Does nothing."""

    @handles
    def touch(self, msg: Add) -> None:
        pass


class Spawning(Actor):
    """Spawns from inside the tree."""

    @handles
    def run(self, msg: Times) -> float:
        with measure() as taken:
            for _ in range(msg.count):
                self.context.spawn(Idle)
        return msg.count / taken.seconds


class Stopping(Actor):
    """Spawns from inside the tree, and stops them all."""

    @handles
    async def run(self, msg: Times) -> float:
        cell = self.context._cell
        with measure() as taken:
            for ref in [self.context.spawn(Idle) for _ in range(msg.count)]:
                ref.stop()
            while cell.children:
                await trio.lowlevel.checkpoint()
        return msg.count / taken.seconds


class Keeping(Actor):
    """Spawns from inside the tree, and looks at what that took; `told` tells each once."""

    def __init__(self, *, told: bool) -> None:
        self.told = told

    @handles
    async def run(self, msg: Times) -> float:
        one, before = Add(1), resident()
        for _ in range(msg.count):
            ref = self.context.spawn(Idle)
            if self.told:
                ref.tell(one)
        last = self.context.spawn(Counter)
        await last.ask(Total())
        return (resident() - before) / 1e6


async def _counting(cls: type[Actor], block: int, count: int) -> float:
    """The sender lets others run after each block, so that the mailbox stays short."""
    spec = supervisor(child("counter", cls).options(capacity=count + 1))
    async with Node("bench", spec) as node:
        counter, one = node.ref("counter"), Add(1)
        with measure() as taken:
            for start in range(0, count, block):
                for _ in range(min(block, count - start)):
                    counter.tell(one)
                await trio.lowlevel.checkpoint()
            assert await counter.ask(Total(), timeout=60) == count
    return count / taken.seconds


async def _burst(count: int) -> float:
    return await _counting(Counter, count, count)


async def _ring(cls: type[Joined], hops: int) -> float:
    done = trio.Event()
    async with Node("bench") as node:
        members = [await node.spawn(cls, done) for _ in range(RING)]
        for member, following in zip(members, members[1:] + members[:1], strict=True):
            member.tell(following)
        with measure() as taken:
            members[0].tell(hops)
            await done.wait()
    return hops / taken.seconds


async def _ask(cls: type[Actor], trips: int) -> float:
    async with Node("bench", supervisor(child("asked", cls))) as node:
        asker = await node.spawn(Asker, node.ref("asked"))
        return await asker.ask(Times(trips), timeout=600)


async def _inside(cls: type[Actor], count: int, **options: bool) -> float:
    async with Node("bench", supervisor(child("parent", cls, **options))) as node:
        return await node.ref("parent").ask(Times(count), timeout=600)


def _figure(function: Callable[[int], Coroutine[Any, Any, float]]) -> Callable[[int], float]:
    def run(count: int) -> float:
        return trio.run(function, count)

    return run


FIGURES: dict[str, Callable[[int], float]] = {
    "counting": _figure(partial(_counting, Counter, BLOCK)),
    "counting, async": _figure(partial(_counting, AsyncCounter, BLOCK)),
    "counting, burst": _figure(_burst),
    "ring": _figure(partial(_ring, Member)),
    "ring, async": _figure(partial(_ring, AsyncMember)),
    "ask": _figure(partial(_ask, Counter)),
    "ask, async": _figure(partial(_ask, AsyncCounter)),
    "spawn": _figure(partial(_inside, Spawning)),
    "spawn_stop": _figure(partial(_inside, Stopping)),
    "idle": _figure(partial(_inside, Keeping, told=False)),
    "idle, told": _figure(partial(_inside, Keeping, told=True)),
}


def run() -> Iterator[Figure]:
    """Each figure once, in an operating-system process of its own."""
    for event in contest.EVENTS:
        for entry in event.entries:
            if entry.peer == contest.OURS:
                yield Figure(f"{event.name}, {entry.label}", measured(entry), event.unit)
