"""Monitors: every one fires exactly once (M4)."""

from __future__ import annotations

import math

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from schedule_zero.runtime import Actor, ActorRef, Down, Node, child, handles, supervisor

from .actors import Boom, Crash, Echo, Nap, Note, Quit, Recorder, Watcher
from .virtual import UNHURRIED, run_virtual


async def test_a_normal_end_is_told(autojump_clock: MockClock) -> None:
    downs: list[Down] = []
    async with Node("n") as node:
        watched = await node.spawn(Recorder, [])
        await node.spawn(Watcher, watched, downs)
        watched.tell(Quit())
        await trio.sleep(1)
    (down,) = downs
    assert (down.ref, str(down.reason)) == (watched, "normal")


async def test_a_failure_is_told_with_the_error(autojump_clock: MockClock) -> None:
    downs: list[Down] = []
    async with Node("n") as node:
        watched = await node.spawn(Recorder, [])
        await node.spawn(Watcher, watched, downs)
        watched.tell(Crash("ow"))
        await trio.sleep(1)
    (down,) = downs
    assert str(down.reason) == "failed: Boom: ow"
    assert isinstance(down.reason.error, Boom)


async def test_a_kill_is_told(autojump_clock: MockClock) -> None:
    downs: list[Down] = []

    class Parent(Actor):
        def on_start(self) -> None:
            self.below = self.context.spawn(child("below", Recorder, []).options(shutdown=1.0))

    async with Node("n") as node:
        parent = await node.spawn(child("parent", Parent))
        below = node.ref("parent/below")
        await node.spawn(Watcher, below, downs)
        below.tell(Nap(math.inf))
        await trio.sleep(1)
        parent.stop()
        await trio.sleep(5)
    assert [str(down.reason) for down in downs] == ["killed"]


async def test_an_actor_that_is_dead_already_is_told_at_once(autojump_clock: MockClock) -> None:
    downs: list[Down] = []
    async with Node("n") as node:
        watched = await node.spawn(Recorder, [])
        watched.stop()
        await trio.sleep(1)
        await node.spawn(Watcher, watched, downs)
        await trio.testing.wait_all_tasks_blocked()
        assert [str(down.reason) for down in downs] == ["noproc"]


async def test_monitoring_twice_is_monitoring_once(autojump_clock: MockClock) -> None:
    downs: list[Down] = []
    async with Node("n") as node:
        watched = await node.spawn(Recorder, [])
        await node.spawn(Watcher, watched, downs, times=2)
        watched.stop()
        await trio.sleep(1)
    assert len(downs) == 1


async def test_each_watcher_is_told(autojump_clock: MockClock) -> None:
    downs: list[Down] = []
    async with Node("n") as node:
        watched = await node.spawn(Recorder, [])
        for _ in range(5):
            await node.spawn(Watcher, watched, downs)
        watched.stop()
        await trio.sleep(1)
    assert len(downs) == 5


async def test_after_demonitor_nothing_is_told(autojump_clock: MockClock) -> None:
    downs: list[Down] = []

    class Fickle(Watcher):
        @handles
        def leave(self, msg: Note) -> None:
            self.context.demonitor(watched)
            self.context.demonitor(watched)

    async with Node("n") as node:
        watched = await node.spawn(Recorder, [])
        (await node.spawn(Fickle, watched, downs)).tell(Note("leave"))
        await trio.sleep(1)
        watched.stop()
        await trio.sleep(1)
    assert downs == []


async def test_a_restarted_watcher_is_told_only_of_what_its_new_life_monitors(
    autojump_clock: MockClock,
) -> None:
    downs: list[Down] = []

    class Once(Watcher):
        lives = 0

        def __init__(self, ref: ActorRef, downs: list[Down]) -> None:
            Once.lives += 1
            super().__init__(ref, downs, times=1 if Once.lives == 1 else 0)

    async with Node("n") as node:
        watched = await node.spawn(Recorder, [])
        spec = supervisor(child("watcher", Once, watched, downs))
        async with Node("other", spec) as other:
            other.ref("watcher").tell(Crash())
            await trio.sleep(1)
            watched.stop()
            await trio.sleep(1)
    assert Once.lives == 2
    assert downs == []


async def test_a_down_for_a_former_life_of_the_watcher_is_not_told_to_the_next(
    autojump_clock: MockClock,
) -> None:
    """The watched actor ends while the watcher, about to fail, is busy."""
    downs: list[Down] = []

    class Failing(Watcher):
        lives = 0

        def __init__(self, ref: ActorRef, downs: list[Down]) -> None:
            Failing.lives += 1
            super().__init__(ref, downs, times=1 if Failing.lives == 1 else 0)

        @handles
        async def nap(self, msg: Nap) -> None:
            await trio.sleep(msg.seconds)
            raise Boom

    async with Node("n") as node:
        watched = await node.spawn(Recorder, [])
        async with Node("m", supervisor(child("watcher", Failing, watched, downs))) as other:
            other.ref("watcher").tell(Nap(2))
            await trio.sleep(1)
            watched.stop()
            await trio.sleep(5)
    assert Failing.lives == 2
    assert downs == []


async def test_down_overtakes_waiting_mail(autojump_clock: MockClock) -> None:
    order: list[object] = []

    class Ordered(Actor):
        def __init__(self, watched: ActorRef) -> None:
            self.context.monitor(watched)

        @handles
        async def any(self, msg: object) -> None:
            order.append(type(msg).__name__)
            await trio.sleep(1)

    async with Node("n") as node:
        watched = await node.spawn(Recorder, [])
        watcher = await node.spawn(Ordered, watched)
        watcher.tell(Nap(0))
        await trio.sleep(0.5)
        watcher.tell(Note("waits"))
        watched.stop()
        await trio.sleep(5)
    assert order == ["Nap", "Down", "Note"]


async def test_a_handler_of_down_that_fails_fails_its_actor(autojump_clock: MockClock) -> None:
    class Fragile(Actor):
        def __init__(self, watched: ActorRef) -> None:
            self.context.monitor(watched)

        @handles
        async def down(self, msg: Down) -> None:
            await trio.sleep(1)
            raise Boom("cannot do without")

    async with Node("n") as node:
        watched = await node.spawn(Recorder, [])
        watcher = await node.spawn(Fragile, watched)
        watched.stop()
        await trio.sleep(5)
        assert watcher.is_stopped
        (letter,) = node.dead_letters.recent
        assert isinstance(letter.message, Down)


async def test_an_actor_that_takes_no_down_may_monitor(autojump_clock: MockClock) -> None:
    class Deaf(Recorder):
        def on_start(self) -> None:
            self.context.monitor(self.context.node.ref("watched"))

    async with Node("n") as node:
        watched = await node.spawn(child("watched", Recorder, []))
        deaf = await node.spawn(Deaf, [])
        watched.stop()
        await trio.sleep(1)
        assert await deaf.ask(Echo("well")) == "well"


ENDS = st.sampled_from(["quit", "crash", "stop", "none"])


@given(
    ends=st.lists(ENDS, min_size=1, max_size=4),
    watches=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=10),
    instants=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    seed=st.integers(0, 2**32),
)
@settings(UNHURRIED, max_examples=150)
@pytest.mark.filterwarnings("error")
def test_every_monitor_fires_exactly_once(
    ends: list[str], watches: list[tuple[int, int]], instants: list[int], seed: int
) -> None:
    """M4: whenever the watched actors end and the watchers begin to watch."""
    downs: list[list[Down]] = [[] for _ in watches]
    targets = [which % len(ends) for which, _ in watches]

    async def end(ref: ActorRef, how: str, instant: int) -> None:
        await trio.sleep(instant)
        if how == "stop":
            ref.stop()
        elif how != "none":
            ref.tell({"quit": Quit(), "crash": Crash()}[how])

    async def main() -> list[ActorRef]:
        async with Node("n") as node, Node("watchers") as other:
            refs = [await node.spawn(Recorder, []) for _ in ends]

            async def watch(number: int, instant: int) -> None:
                await trio.sleep(instant)
                await other.spawn(Watcher, refs[targets[number]], downs[number])

            async with trio.open_nursery() as nursery:
                for ref, how, instant in zip(refs, ends, instants, strict=False):
                    nursery.start_soon(end, ref, how, instant)
                for number, (_, instant) in enumerate(watches):
                    nursery.start_soon(watch, number, instant)
            await trio.sleep(10)
        return refs

    refs = run_virtual(main, seed=seed)
    for heard, target in zip(downs, targets, strict=True):
        expected = [] if ends[target] == "none" else [refs[target]]
        assert [down.ref for down in heard] == expected
