"""Timers: messages to oneself, later."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from schedule_zero.runtime import Actor, Node, child, handles, supervisor
from schedule_zero.runtime.clock import SystemClock
from schedule_zero.runtime.timers import Timer, Timers

from .actors import Crash, Nap, Note, Recorder
from .virtual import UNHURRIED, run_virtual


class Alarm(Recorder):
    """Sets timers when told to: `("after", delay)`, `("every", interval)`, `"cancel"`."""

    def __init__(self, rings: list[tuple[object, float]]) -> None:
        super().__init__([])
        self.rings = rings
        self.timers: list[Timer] = []

    @handles
    def set(self, msg: tuple) -> None:  # type: ignore[type-arg]
        kind, seconds = msg
        make = getattr(self.context.timers, kind)
        self.timers.append(make(seconds, Note(kind)))

    @handles
    def cancel(self, msg: str) -> None:
        for timer in self.timers:
            timer.cancel()

    @handles
    def note(self, msg: Note) -> None:
        self.rings.append((msg.text, round(trio.current_time(), 6)))


async def test_timers_ring_in_the_order_of_their_instants(autojump_clock: MockClock) -> None:
    rings: list[tuple[object, float]] = []
    async with Node("n") as node:
        ref = await node.spawn(Alarm, rings)
        for delay in (3.0, 1.0, 2.0):
            ref.tell(("after", delay))
        await trio.sleep(10)
    assert [instant for _, instant in rings] == [1.0, 2.0, 3.0]


async def test_a_sooner_timer_set_later_wakes_in_time(autojump_clock: MockClock) -> None:
    rings: list[tuple[object, float]] = []
    async with Node("n") as node:
        ref = await node.spawn(Alarm, rings)
        ref.tell(("after", 100.0))
        await trio.sleep(5)
        ref.tell(("after", 1.0))
        await trio.sleep(5)
    assert rings == [("after", 6.0)]


async def test_a_cancelled_timer_does_not_ring(autojump_clock: MockClock) -> None:
    rings: list[tuple[object, float]] = []
    async with Node("n") as node:
        ref = await node.spawn(Alarm, rings)
        ref.tell(("after", 2.0))
        ref.tell(("every", 1.0))
        await trio.sleep(1.5)
        ref.tell("cancel")
        ref.tell("cancel")
        await trio.sleep(10)
    assert rings == [("every", 1.0)]


async def test_every_rings_each_interval(autojump_clock: MockClock) -> None:
    rings: list[tuple[object, float]] = []
    async with Node("n") as node:
        (await node.spawn(Alarm, rings)).tell(("every", 2.5))
        await trio.sleep(11)
    assert rings == [("every", 2.5), ("every", 5.0), ("every", 7.5), ("every", 10.0)]


async def test_every_skips_the_instants_it_has_missed(mock_clock: MockClock) -> None:
    """The machine slept, or the loop was held up: one ring, then on with the old rhythm."""
    rings: list[tuple[object, float]] = []
    async with Node("n") as node:
        (await node.spawn(Alarm, rings)).tell(("every", 1.0))
        for seconds in (0.0, 4.5, 0.5):
            mock_clock.jump(seconds)
            await trio.testing.wait_all_tasks_blocked()
    assert rings == [("every", 4.5), ("every", 5.0)]


async def test_an_interval_of_nothing_is_refused(autojump_clock: MockClock) -> None:
    class Eager(Actor):
        def on_start(self) -> None:
            self.context.timers.every(0, Note("x"))

    async with Node("n") as node:
        with pytest.raises(Exception, match="interval=0"):
            await node.spawn(Eager)


@pytest.mark.parametrize("end", [Crash(), "stop"], ids=["restart", "stop"])
async def test_timers_are_gone_when_the_actor_ends(end: object, autojump_clock: MockClock) -> None:
    rings: list[tuple[object, float]] = []
    async with Node("n", supervisor(child("a", Alarm, rings))) as node:
        ref = node.ref("a")
        ref.tell(("after", 2.0))
        ref.tell(("every", 2.0))
        await trio.sleep(1)
        if end == "stop":
            ref.stop()
        else:
            ref.tell(end)
        await trio.sleep(10)
    assert rings == []


async def test_a_zero_delay_does_not_spin(autojump_clock: MockClock) -> None:
    """An actor that rings itself at once, again and again, leaves room for the rest."""

    class Restless(Actor):
        rings = 0

        def on_start(self) -> None:
            self.context.timers.after(0, Note("again"))

        @handles
        def again(self, msg: Note) -> None:
            Restless.rings += 1
            self.context.timers.after(0, Note("again"))

    async with Node("n") as node:
        await node.spawn(Restless)
        for _ in range(200):
            await trio.lowlevel.checkpoint()
        node.kill()
    assert 0 < Restless.rings <= 200


async def test_a_callback_that_sets_a_timer_of_no_delay_does_not_hold_up_the_loop(
    autojump_clock: MockClock,
) -> None:
    timers, rings = Timers(SystemClock()), []

    def ring() -> None:
        rings.append(trio.current_time())
        if len(rings) < 10_000:
            timers.after(0, ring)

    timers.after(0, ring)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert 0 < len(rings) <= 20


async def test_a_ring_of_a_busy_actor_waits_its_turn(autojump_clock: MockClock) -> None:
    rings: list[tuple[object, float]] = []
    async with Node("n") as node:
        ref = await node.spawn(Alarm, rings)
        ref.tell(("after", 1.0))
        ref.tell(Nap(3))
        await trio.sleep(5)
    assert rings == [("after", 3.0)]


@given(
    plan=st.lists(
        st.tuples(st.integers(0, 20), st.one_of(st.none(), st.integers(0, 20))), max_size=200
    )
)
@settings(UNHURRIED, max_examples=100)
def test_each_timer_fires_once_at_its_instant_unless_cancelled_before(
    plan: list[tuple[int, int | None]],
) -> None:
    """Any set of timers (delay, instant of its cancellation), by the hundred."""
    fired: list[tuple[float, int]] = []

    def ring(number: int) -> None:
        fired.append((trio.current_time(), number))

    async def main() -> int:
        timers = Timers(SystemClock())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(timers.run)
            made = [
                timers.after(delay, partial(ring, number)) for number, (delay, _) in enumerate(plan)
            ]
            for instant in range(21):
                for timer, (_, cancelled) in zip(made, plan, strict=True):
                    if cancelled == instant:
                        timer.cancel()
                await trio.sleep(1)
            nursery.cancel_scope.cancel()
        return len(timers)

    left = run_virtual(main)
    due = {n: delay for n, (delay, at) in enumerate(plan) if at is None or at > delay}
    unsure = {n for n, (delay, at) in enumerate(plan) if at == delay}
    assert {n: at for at, n in fired if n not in unsure} == due
    assert len({n for _, n in fired}) == len(fired)
    assert [at for at, _ in fired] == sorted(at for at, _ in fired)
    assert left == 0


async def test_a_shutdown_that_was_in_time_leaves_no_timer(autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        before = len(node.timers)
        for _ in range(10):
            ref = await node.spawn(Recorder, [])
            ref.tell(Note(1))
            ref.stop()
        await trio.sleep(1)
        assert len(node.timers) == before
