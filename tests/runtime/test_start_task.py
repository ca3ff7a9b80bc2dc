"""Tasks of an actor: beside its messages, and ended with it."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock

from schedule_zero.runtime import (
    Actor,
    ActorFailed,
    ActorRef,
    Node,
    NodeFailed,
    Reason,
    StartFailed,
    child,
    handles,
    supervisor,
)

from .actors import Boom, Crash, Echo, Nap, Note, Recorder, SlowEcho


class Tasked(Recorder):
    """Starts a task when told to: `("fail", seconds)` or `("tick", seconds)`."""

    @handles
    def begin(self, msg: tuple) -> None:  # type: ignore[type-arg]
        kind, seconds = msg
        self.context.start_task(self.fail if kind == "fail" else self.tick, seconds)

    async def fail(self, seconds: float) -> None:
        await trio.sleep(seconds)
        raise Boom("in a task")

    async def tick(self, seconds: float) -> None:
        try:
            while True:
                await trio.sleep(seconds)
                self.notes.append("tick")
        finally:
            self.notes.append("ended")


async def test_a_task_runs_beside_the_messages(autojump_clock: MockClock) -> None:
    notes: list[object] = []
    async with Node("n") as node:
        ref = await node.spawn(Tasked, notes)
        ref.tell(("tick", 1.0))
        await trio.sleep(2.5)
        assert await ref.ask(Echo("free")) == "free"
    assert notes == ["tick", "tick", "ended"]


@pytest.mark.parametrize("end", ["stop", "crash", "leave"])
async def test_a_task_ends_with_its_actor(end: str, autojump_clock: MockClock) -> None:
    notes: list[object] = []
    async with Node("n", supervisor(child("a", Tasked, notes))) as node:
        ref = node.ref("a")
        ref.tell(("tick", 1.0))
        await trio.sleep(1.5)
        if end == "stop":
            ref.stop()
        elif end == "crash":
            ref.tell(Crash())
        else:
            node.stop()
        await trio.sleep(5)
    assert notes == ["tick", "ended"]


async def test_a_failing_task_fails_its_actor(autojump_clock: MockClock) -> None:
    reasons: list[str] = []

    class Told(Tasked):
        def on_restart(self, failure: Reason) -> None:
            reasons.append(str(failure))

    async with Node("n", supervisor(child("a", Told, []))) as node:
        node.ref("a").tell(("fail", 1.0))
        await trio.sleep(2)
        assert await node.ref("a").ask(Echo("next life")) == "next life"
    assert reasons == ["failed: Boom: in a task"]


async def test_a_failing_task_interrupts_a_handler_that_waits(autojump_clock: MockClock) -> None:
    async with Node("n", supervisor(child("a", Tasked, []))) as node:
        ref = node.ref("a")
        ref.tell(("fail", 1.0))
        begun = trio.current_time()
        with pytest.raises(ActorFailed) as caught:
            await ref.ask(SlowEcho(seconds=60), timeout=100)
        assert trio.current_time() - begun == pytest.approx(1.0)
        assert caught.value.error_type == "Killed"


async def test_a_failing_task_leaves_waiting_mail_to_the_next_life(
    autojump_clock: MockClock,
) -> None:
    notes: list[object] = []
    async with Node("n", supervisor(child("a", Tasked, notes))) as node:
        ref = node.ref("a")
        for message in (("fail", 1.0), Nap(60), Note("kept")):
            ref.tell(message)
        await trio.sleep(2)
        assert notes == ["kept"]


async def test_failing_tasks_count_towards_the_intensity(autojump_clock: MockClock) -> None:
    with pytest.raises(NodeFailed) as caught:
        async with Node("n", supervisor(child("a", Tasked, []), max_restarts=0)) as node:
            node.ref("a").tell(("fail", 1.0))
            await trio.sleep_forever()
    assert caught.value.__cause__ is not None
    assert isinstance(caught.value.__cause__.__cause__, Boom)


async def test_two_tasks_that_fail_at_once_are_one_failure(autojump_clock: MockClock) -> None:
    async with Node("n", supervisor(child("a", Tasked, []), max_restarts=1)) as node:
        ref = node.ref("a")
        ref.tell(("fail", 1.0))
        ref.tell(("fail", 1.0))
        await trio.sleep(5)
        assert await ref.ask(Echo(1)) == 1


async def test_a_task_that_ends_well_is_forgotten(autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        before = trio.lowlevel.current_statistics().tasks_living

        class Short(Actor):
            def on_start(self) -> None:
                for _ in range(10):
                    self.context.start_task(trio.sleep, 1)

        await node.spawn(Short)
        assert trio.lowlevel.current_statistics().tasks_living >= before + 10
        await trio.sleep(2)
        assert trio.lowlevel.current_statistics().tasks_living == before


async def test_a_task_that_fails_while_the_start_hook_waits_fails_the_start(
    autojump_clock: MockClock,
) -> None:
    class Doomed(Tasked):
        async def on_start(self) -> None:
            self.context.start_task(self.fail, 1.0)
            await trio.sleep(math.inf)

    async with Node("n") as node:
        with pytest.raises(StartFailed, match="in a task"):
            await node.spawn(Doomed, [])


async def test_a_task_may_tell_its_own_actor(autojump_clock: MockClock) -> None:
    senders: list[object] = []

    class Tells(Actor):
        def on_start(self) -> None:
            self.context.start_task(self.tell)

        async def tell(self) -> None:
            await trio.sleep(1)
            self.context.ref.tell(Note("from my task"))

        @handles
        def note(self, msg: Note) -> None:
            senders.append(self.context.sender)

    async with Node("n") as node:
        ref: ActorRef = await node.spawn(Tells)
        await trio.sleep(2)
    assert senders == [ref]


async def test_a_task_that_takes_time_to_end_holds_up_the_next_life(
    autojump_clock: MockClock,
) -> None:
    """S2 for tasks: what belonged to one life is over before the next begins."""
    lives: list[str] = []

    class Slow(Recorder):
        def on_start(self) -> None:
            lives.append("start")
            self.context.start_task(self.linger)

        async def linger(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                lives.append("task over")

    async with Node("n", supervisor(child("a", Slow, []))) as node:
        node.ref("a").tell(Crash())
        await trio.sleep(3)
        assert lives == ["start", "task over", "start"]
