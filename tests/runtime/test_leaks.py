"""Nothing is left behind: actors, restarts and messages by the thousand, and all is as it was."""

from __future__ import annotations

import gc
import logging
import math
import tracemalloc
from collections import deque

import pytest
import trio

from schedule_zero.runtime import (
    Actor,
    ActorRef,
    Node,
    Request,
    Supervisor,
    child,
    handles,
    message,
    supervisor,
)

SPAWNS = 100_000
RESTARTS = 10_000
MESSAGES = 1_000_000
SLACK = 400_000  # bytes: caches, and what the interpreter keeps for itself


@message
class Count(Request[int]):
    """How many came."""


@message
class Spawn:
    """Spawn and stop so many."""

    count: int


@message
class Fail:
    """Fail."""


class Parent(Actor):
    """Counts, fails, and has children come and go."""

    def __init__(self) -> None:
        self.count = 0

    @handles
    def add(self, msg: int) -> None:
        self.count += msg

    @handles
    def report(self, msg: Count) -> int:
        return self.count

    @handles
    def spawn(self, msg: Spawn) -> None:
        for _ in range(msg.count):
            self.context.spawn(Parent).stop()

    @handles
    def fail(self, msg: Fail) -> None:
        raise ValueError("on purpose")


async def exercise(ref: ActorRef, part: float) -> None:
    for _ in range(int(SPAWNS * part) // 1000):
        ref.tell(Spawn(1000))
        await ref.ask(Count(), timeout=60)
    for _ in range(int(MESSAGES * part) // 10_000):
        for _ in range(10_000):
            ref.tell(1)
        await ref.ask(Count(), timeout=60)
    for _ in range(int(RESTARTS * part) // 100):
        for _ in range(100):
            ref.tell(Fail())
        await ref.ask(Count(), timeout=60)


def taken() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def test_memory_and_tasks_are_back_where_they_were(caplog: pytest.LogCaptureFixture) -> None:
    sup = supervisor(child("parent", Parent), max_restarts=math.inf)
    async with Node("n", supervisor(child("sup", Supervisor, sup))) as node:
        ref = node.ref("sup/parent")
        node.dead_letters._recent = deque(maxlen=10)  # what is kept to be looked at is no leak
        caplog.set_level(logging.CRITICAL, logger="schedule_zero")  # ten thousand tracebacks
        await exercise(ref, 0.01)  # caches fill
        tasks = trio.lowlevel.current_statistics().tasks_living
        tracemalloc.start()
        try:
            before = taken()
            await exercise(ref, 1.0)
            after = taken()
        finally:
            tracemalloc.stop()
        assert after - before < SLACK
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert list(node.root.children["sup"].children) == ["parent"]
        assert node.root.children["sup"].children["parent"].children == {}
        assert len(node.timers) == 0
