"""The benchmarks of messaging.py on xoscar: actors in one pool, in this process, on uvloop.

`create_actor` returns a ref that goes through the pool's router; `actor_ref` gives the local one,
which is several times faster. A `tell` is an asyncio task a message; what it returns is to be
awaited. A call on a local ref that is awaited is no message, it runs the method in the caller's
task: shown beside. `batch` is left alone: it is one message. Methods that never wait are
`no_lock`, as they cannot overlap and are a fifth faster so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import uvloop
import xoscar

from tests.benchmarks.figures import measure, resident

RING = 100


class Counter(xoscar.Actor):
    """Counts."""

    def __init__(self) -> None:
        self.total = 0

    @xoscar.no_lock
    def add(self, amount: int) -> None:
        self.total += amount

    @xoscar.no_lock
    def report(self) -> int:
        return self.total


class Asker(xoscar.Actor):
    """Asks another actor so many times."""

    async def run(self, address: str, trips: int) -> float:
        asked = await xoscar.actor_ref(address=address, uid="asked")
        report = asked.report
        with measure() as taken:
            for _ in range(trips):
                await report()
        return trips / taken.seconds


class Member(xoscar.Actor):
    """Passes a number on, one less, until it is zero."""

    def __init__(self, done: asyncio.Event) -> None:
        self.done = done

    async def join(self, address: str, uid: str) -> None:
        following = await xoscar.actor_ref(address=address, uid=uid)
        self.tell_next = following.hop.tell

    async def hop(self, left: int) -> None:
        if left:
            await self.tell_next(left - 1)
        else:
            self.done.set()


class Idle(xoscar.Actor):
    """Does nothing."""


@asynccontextmanager
async def _pool() -> Any:
    pool = await xoscar.create_actor_pool("127.0.0.1", n_process=0)
    try:
        yield pool.external_address
    finally:
        await pool.stop()


async def _local(cls: type[xoscar.Actor], address: str, uid: str, *args: Any) -> Any:
    await xoscar.create_actor(cls, *args, address=address, uid=uid)
    return await xoscar.actor_ref(address=address, uid=uid)


async def _counting(way: str, count: int) -> float:
    async with _pool() as address:
        counter = await _local(Counter, address, "counter")
        add = counter.add.tell if way == "tell" else counter.add
        with measure() as taken:
            for _ in range(count):
                await add(1)
            while await counter.report() < count:  # a call overtakes what was told
                await asyncio.sleep(0)
    return count / taken.seconds


async def _ring(hops: int) -> float:
    done = asyncio.Event()
    async with _pool() as address:
        members = [await _local(Member, address, f"m{n}", done) for n in range(RING)]
        for number, member in enumerate(members):
            await member.join(address, f"m{(number + 1) % RING}")
        with measure() as taken:
            await members[0].hop.tell(hops)
            await done.wait()
    return hops / taken.seconds


async def _ask(trips: int) -> float:
    async with _pool() as address:
        await _local(Counter, address, "asked")
        asker = await _local(Asker, address, "asker")
        rate: float = await asker.run(address, trips)
    return rate


async def _spawn(count: int) -> float:
    """One after another: `gather` was no faster."""
    async with _pool() as address:
        with measure() as taken:
            for _ in range(count):
                await xoscar.create_actor(Idle, address=address)
    return count / taken.seconds


async def _spawn_stop(count: int) -> float:
    async with _pool() as address:
        with measure() as taken:
            refs = [await xoscar.create_actor(Idle, address=address) for _ in range(count)]
            for ref in refs:
                await xoscar.destroy_actor(ref)
    return count / taken.seconds


async def _idle(count: int) -> float:
    async with _pool() as address:
        before = resident()
        for _ in range(count):
            await xoscar.create_actor(Idle, address=address)
        return (resident() - before) / 1e6


def _figure(function: Callable[[int], Coroutine[Any, Any, float]]) -> Callable[[int], float]:
    def run(count: int) -> float:
        return uvloop.run(function(count))

    return run


FIGURES: dict[str, Callable[[int], float]] = {
    "counting": _figure(partial(_counting, "tell")),
    "counting, awaited": _figure(partial(_counting, "await")),
    "ring": _figure(_ring),
    "ask": _figure(_ask),
    "spawn": _figure(_spawn),
    "spawn_stop": _figure(_spawn_stop),
    "idle": _figure(_idle),
}
