"""Looking into a running node, and stopping one actor to look closer."""

from __future__ import annotations

import time

import pytest
import trio

from schedule_zero.runtime import (
    Actor,
    ActorError,
    ActorFailed,
    Node,
    Pending,
    Request,
    Traced,
    child,
    get_state,
    handles,
    message,
    resume,
    snapshot,
    supervisor,
    suspend,
    trace,
)
from schedule_zero.runtime.watchdog import Watchdog


@message
class Add(Request[int]):
    amount: int


@message
class Nap:
    seconds: float


@message
class Owe(Request[int]):
    pass


class Sum(Actor):
    def __init__(self) -> None:
        self.total = 0
        self.owed: list[Pending] = []

    @handles
    def add(self, msg: Add) -> int:
        if msg.amount < 0:
            raise ValueError("negative")
        self.total += msg.amount
        return self.total

    @handles
    async def nap(self, msg: Nap) -> None:
        await trio.sleep(msg.seconds)

    @handles
    def owe(self, msg: Owe) -> None:
        self.owed.append(self.context.reply_later())


async def test_a_snapshot_tells_what_each_actor_does(autojump_clock: trio.abc.Clock) -> None:
    async with Node("n", supervisor(child("sum", Sum))) as node:
        ref = node.ref("sum")
        await ref.ask(Add(1))
        with pytest.raises(ActorFailed):
            await ref.ask(Add(-1))
        await trio.sleep(1)
        ref.tell(Nap(10.0))
        ref.tell(Add(1))
        await trio.sleep(4)
        root, info = snapshot(node)
        assert (root.path, root.actor_class) == ("", "Supervisor")
        assert (info.path, info.actor_class, info.state) == ("sum", "Sum", "running")
        assert (info.mailbox, info.handled, info.restarts) == (1, 3, 1)
        assert info.last_failure == "ValueError: negative"
        assert info.busy_for == pytest.approx(4.0, abs=0.1)


async def test_a_snapshot_of_ten_thousand_actors_is_cheap() -> None:
    async with Node("n") as node:
        for _ in range(10_000):
            await node.spawn(Sum)
        begun = time.perf_counter()
        found = snapshot(node)
        one = time.perf_counter() - begun
        begun = time.perf_counter()
        for _ in range(10):
            sum(range(100_000))
        yardstick = time.perf_counter() - begun  # ten times some 2 ms: about 20 ms
        assert len(found) == 10_001
        assert one < 20 * yardstick


async def test_a_suspended_actor_keeps_its_messages_until_it_is_resumed() -> None:
    async with Node("n", supervisor(child("sum", Sum))) as node:
        ref = node.ref("sum")
        await ref.ask(Add(1))
        await suspend(ref)
        ref.tell(Add(2))
        await trio.testing.wait_all_tasks_blocked()
        assert get_state(ref) == {"total": 1, "owed": []}
        assert snapshot(node)[1].state == "suspended"
        resume(ref)
        assert await ref.ask(Add(0)) == 3


async def test_a_suspended_actor_can_be_stopped() -> None:
    async with Node("n", supervisor(child("sum", Sum))) as node:
        await suspend(node.ref("sum"))
    assert node.root.is_stopped


async def test_the_state_of_an_actor_that_has_ended_is_refused() -> None:
    async with Node("n") as node:
        ref = await node.spawn(Sum)
        ref.stop()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(ActorError, match="stopped"):
            get_state(ref)
        with pytest.raises(ActorError, match="only a running one"):
            await suspend(ref)


async def test_a_trace_shows_each_message_of_one_actor_until_it_ends() -> None:
    async with Node("n", supervisor(child("sum", Sum), child("other", Sum))) as node:
        seen: list[Traced] = []
        end = trace(node.ref("sum"), seen.append)
        assert await node.ref("sum").ask(Add(1)) == 1
        assert await node.ref("other").ask(Add(1)) == 1
        with pytest.raises(ActorFailed):
            await node.ref("sum").ask(Add(-1))
        end()
        assert await node.ref("sum").ask(Add(5)) == 5
        assert seen == [Traced("sum", Add(1), ""), Traced("sum", Add(-1), "")]


async def test_an_answer_that_is_owed_by_an_actor_that_ends_is_rejected() -> None:
    async with Node("n", supervisor(child("sum", Sum))) as node:
        ref = node.ref("sum")
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(ActorFailed, match="before it had answered"):
                    await ref.ask(Owe())

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            ref.tell(Add(-1))


async def test_the_watchdog_reports_who_keeps_the_loop() -> None:
    class Hog(Actor):
        @handles
        def hog(self, msg: Nap) -> None:
            time.sleep(msg.seconds)  # real: the loop itself is what is measured

    watchdog = Watchdog(limit=0.05)
    async with Node("n", supervisor(child("hog", Hog))) as node, trio.open_nursery() as nursery:
        nursery.start_soon(watchdog.run)
        await trio.sleep(0.2)
        assert watchdog.reports == []
        node.ref("hog").tell(Nap(0.5))
        await trio.sleep(0.1)
        nursery.cancel_scope.cancel()
    assert len(watchdog.reports) == 1
    assert "actor 'hog'" in watchdog.reports[0]
    assert "time.sleep(msg.seconds)" in watchdog.reports[0]


async def test_suspending_an_actor_that_is_killed_first_fails() -> None:
    async with Node("n", supervisor(child("sum", Sum).options(shutdown="kill"))) as node:
        ref = node.ref("sum")
        ref.tell(Nap(1000.0))
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:

            async def suspending() -> None:
                with pytest.raises(ActorError, match="ended meanwhile"):
                    await suspend(ref)

            nursery.start_soon(suspending)
            await trio.testing.wait_all_tasks_blocked()
            node.stop()


async def test_two_traces_of_one_actor_end_one_by_one() -> None:
    first, second = list[object](), list[object]()
    async with Node("n", supervisor(child("sum", Sum))) as node:
        ref = node.ref("sum")
        end_first = trace(ref, lambda traced: first.append(traced.message))
        end_second = trace(ref, lambda traced: second.append(traced.message))
        await ref.ask(Add(1))
        end_first()
        end_first()
        await ref.ask(Add(2))
        end_second()
        await ref.ask(Add(3))
    assert first == [Add(1)]
    assert second == [Add(1), Add(2)]


async def test_a_trace_whose_listener_raises_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Node("n", supervisor(child("sum", Sum))) as node:
        trace(node.ref("sum"), lambda traced: 1 / 0)
        assert await node.ref("sum").ask(Add(1)) == 1
    assert "a listener failed" in caplog.text
