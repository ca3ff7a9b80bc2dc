"""Stopping: in order, in time, and nothing left behind (S5, S6)."""

from __future__ import annotations

import math
import threading

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from schedule_zero.runtime import (
    Actor,
    BadChildSpec,
    ChildSpec,
    Node,
    NodeFailed,
    Reason,
    StartFailed,
    Supervisor,
    blocking,
    child,
    handles,
    supervisor,
)

from .actors import Boom, Crash, Diarist, Diary, Echo, Nap, Note, Recorder, SlowDiarist
from .virtual import UNHURRIED, run_virtual


class Stuck(Diarist):
    """Naps in its handler; `on_stop` is written down by the diarist."""


class Clinging(Diarist):
    """Does not finish its `on_stop`."""

    async def on_stop(self, reason: Reason) -> None:  # type: ignore[override]
        await trio.sleep_forever()


class Family(Diarist):
    """Has two children of its own."""

    def on_start(self) -> None:
        super().on_start()
        for name in ("first", "second"):
            self.context.spawn(child(name, SlowDiarist, self.diary))


@pytest.fixture
def diary() -> Diary:
    return Diary()


async def time_to_leave(spec: ChildSpec, *messages: object) -> float:
    async with Node("n", supervisor(spec)) as node:
        for message in messages:
            node.ref(spec.name).tell(message)
        await trio.sleep(0.5)
        begun = trio.current_time()
    return trio.current_time() - begun


async def test_an_idle_actor_stops_at_once(diary: Diary, autojump_clock: MockClock) -> None:
    assert await time_to_leave(child("a", Stuck, diary)) == 0
    assert diary.take() == ["start a", "stop a"]


async def test_a_handler_may_finish_within_the_shutdown_time(
    diary: Diary, autojump_clock: MockClock
) -> None:
    taken = await time_to_leave(child("a", Stuck, diary).options(shutdown=5.0), Nap(3.5))
    assert taken == pytest.approx(3.0)
    assert diary.take() == ["start a", "stop a"]


async def test_a_handler_that_takes_longer_is_killed_and_on_stop_not_called(
    diary: Diary, autojump_clock: MockClock
) -> None:
    """S6."""
    taken = await time_to_leave(child("a", Stuck, diary).options(shutdown=2.0), Nap(math.inf))
    assert taken == pytest.approx(2.0)
    assert diary.take() == ["start a"]


async def test_kill_does_not_wait(diary: Diary, autojump_clock: MockClock) -> None:
    """S6."""
    taken = await time_to_leave(child("a", Stuck, diary).options(shutdown="kill"), Nap(60))
    assert taken == 0


async def test_infinity_waits(diary: Diary, autojump_clock: MockClock) -> None:
    spec = child("a", Stuck, diary).options(shutdown="infinity")
    assert await time_to_leave(spec, Nap(1000)) == pytest.approx(999.5)


async def test_an_on_stop_that_does_not_end_is_killed(
    diary: Diary, autojump_clock: MockClock
) -> None:
    """S6."""
    spec = child("a", Clinging, diary).options(shutdown=2.0)
    assert await time_to_leave(spec) == pytest.approx(2.0)


async def test_a_start_hook_that_does_not_end_is_killed(
    diary: Diary, autojump_clock: MockClock
) -> None:
    """S6: also while the node is starting, when its surroundings are cancelled."""

    class Never(Diarist):
        async def on_start(self) -> None:  # type: ignore[override]
            await trio.sleep_forever()

    spec = supervisor(child("a", Diarist, diary), child("never", Never, diary))
    with trio.move_on_after(3) as scope:
        async with Node("n", spec):
            pytest.fail("the body must not run")
    assert scope.cancelled_caught
    assert trio.current_time() <= 3 + 5
    assert diary.take() == ["start a", "stop a"]


async def test_the_message_that_was_being_handled_at_a_kill_is_a_dead_letter(
    diary: Diary, autojump_clock: MockClock
) -> None:
    async with Node("n", supervisor(child("a", Stuck, diary).options(shutdown="kill"))) as node:
        node.ref("a").tell(Nap(60))
        await trio.sleep(1)
    (letter,) = node.dead_letters.recent
    assert (letter.message, letter.reason, letter.failure) == (Nap(60), "failed", "killed")


async def test_a_shielded_handler_holds_up_its_node(
    diary: Diary, autojump_clock: MockClock
) -> None:
    """What trio cannot cancel nobody can kill: the stop waits for the end of the shield."""

    class Shielded(Stuck):
        @handles
        async def nap(self, msg: Nap) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(msg.seconds)

    spec = child("a", Shielded, diary).options(shutdown=1.0)
    assert await time_to_leave(spec, Nap(30.5)) == pytest.approx(30.0)


async def test_a_stuck_thread_does_not_hold_up_its_node() -> None:
    """The thread itself cannot be ended: it is left alone and ends by itself."""
    entered, release = threading.Event(), threading.Event()

    class Blocks(Actor):
        @handles
        @blocking
        def block(self, msg: Note) -> None:
            entered.set()
            release.wait(30)

    async with Node("n", supervisor(child("a", Blocks).options(shutdown="kill"))) as node:
        node.ref("a").tell(Note("go"))
        while not entered.is_set():
            await trio.lowlevel.checkpoint()
    release.set()


async def test_children_stop_before_their_parent(diary: Diary, autojump_clock: MockClock) -> None:
    async with Node("n", supervisor(child("up", Family, diary))):
        diary.take()
    assert diary.take() == ["stop up/second", "stop up/first", "stop up"]


async def test_a_kill_reaches_the_children_too(diary: Diary, autojump_clock: MockClock) -> None:
    class Slow(Family):
        async def on_stop(self, reason: Reason) -> None:  # type: ignore[override]
            await trio.sleep_forever()

    spec = child("up", Slow, diary).options(shutdown=0.5)
    assert await time_to_leave(spec) == pytest.approx(0.5)


async def test_a_whole_tree_stops_in_reverse_of_its_start(
    diary: Diary, autojump_clock: MockClock
) -> None:
    inner = supervisor(child("x", Diarist, diary), child("y", Diarist, diary))
    spec = supervisor(
        child("a", Diarist, diary), child("s", Supervisor, inner), child("z", Diarist, diary)
    )
    async with Node("n", spec):
        started = [entry.split()[1] for entry in diary.take()]
    stopped = [entry.split()[1] for entry in diary.take()]
    assert started == ["a", "s/x", "s/y", "z"]
    assert stopped == started[::-1]


async def test_on_stop_may_still_talk_to_those_started_before(autojump_clock: MockClock) -> None:
    notes: list[object] = []

    class Polite(Recorder):
        async def on_stop(self, reason: Reason) -> None:
            notes.append(await self.context.node.ref("first").ask(Echo("goodbye")))

    async with Node("n", supervisor(child("first", Recorder, []), child("polite", Polite, []))):
        pass
    assert notes == ["goodbye"]


async def test_cancellation_from_outside_stops_the_tree_in_order(
    diary: Diary, autojump_clock: MockClock
) -> None:
    spec = supervisor(child("a", SlowDiarist, diary), child("b", SlowDiarist, diary))
    with trio.move_on_after(1) as scope:
        async with Node("n", spec):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert diary.take() == ["start a", "start b", "stop b", "stop a"]
    assert trio.current_time() == pytest.approx(3.0)


async def test_an_exception_in_the_body_comes_out_as_it_is(
    diary: Diary, autojump_clock: MockClock
) -> None:
    with pytest.raises(Boom, match="mine"):
        async with Node("n", supervisor(child("a", Diarist, diary))):
            raise Boom("mine")
    assert diary.take() == ["start a", "stop a"]


async def test_node_stop_ends_the_body(diary: Diary, autojump_clock: MockClock) -> None:
    async with Node("n", supervisor(child("a", Diarist, diary))) as node:
        assert not node.is_stopping
        node.stop()
        await trio.sleep_forever()
    assert node.is_stopping
    assert diary.take() == ["start a", "stop a"]


async def test_node_kill_waits_for_nobody(diary: Diary, autojump_clock: MockClock) -> None:
    spec = supervisor(child("a", Clinging, diary), child("b", Stuck, diary))
    async with Node("n", spec) as node:
        node.ref("b").tell(Nap(math.inf))
        await trio.sleep(1)
        node.kill()
        await trio.sleep_forever()
    assert trio.current_time() == pytest.approx(1.0)


async def test_after_the_end_every_ref_is_stopped(autojump_clock: MockClock) -> None:
    async with Node("n", supervisor(child("a", Recorder, []))) as node:
        ref = node.ref("a")
        ref.tell(Note("x"))
    assert ref.is_stopped
    ref.tell(Note("y"))
    assert node.dead_letters.recent[-1].message == Note("y")


async def test_a_node_leaves_no_task_behind(diary: Diary, autojump_clock: MockClock) -> None:
    """S5."""

    class Busy(Family):
        def on_start(self) -> None:
            super().on_start()
            self.context.start_task(trio.sleep_forever)
            self.context.timers.every(1, Note("tick"))

    before = trio.lowlevel.current_statistics().tasks_living
    spec = supervisor(
        *(child(f"b{number}", Busy, diary) for number in range(5)), max_restarts=math.inf
    )
    async with Node("n", spec) as node:
        for number in range(5):
            node.ref(f"b{number}").tell(Nap(2))
            node.ref(f"b{number}/first").tell(Nap(math.inf))
        await trio.sleep(1)
        node.ref("b3").tell(Crash())
        await trio.sleep(3)
        assert trio.lowlevel.current_statistics().tasks_living > before
    assert trio.lowlevel.current_statistics().tasks_living == before


async def test_a_node_leaves_no_thread_behind(autojump_clock: MockClock) -> None:
    """S5."""
    before = set(threading.enumerate())
    async with Node("n", supervisor(child("a", Recorder, []))) as node:
        await node.ref("a").ask(Echo())
    assert set(threading.enumerate()) == before


async def test_a_node_that_failed_leaves_no_task_behind(
    diary: Diary, autojump_clock: MockClock
) -> None:
    """S5."""
    before = trio.lowlevel.current_statistics().tasks_living
    with pytest.raises(NodeFailed):
        async with Node("n", supervisor(child("a", Family, diary), max_restarts=0)) as node:
            node.ref("a").tell(Crash())
            await trio.sleep_forever()
    assert trio.lowlevel.current_statistics().tasks_living == before
    assert not diary.alive


async def test_a_start_that_fails_while_its_node_is_stopping_is_the_end_of_it(
    diary: Diary, autojump_clock: MockClock
) -> None:
    class Failing(Diarist):
        async def on_start(self) -> None:  # type: ignore[override]
            await trio.sleep(2)
            self.diary.alive.discard(self.context.ref.path)
            raise Boom

    with trio.move_on_after(1) as scope:
        async with Node("n", supervisor(child("a", Failing, diary))):
            pytest.fail("the body must not run")
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(2.0)
    assert not diary.alive


async def test_a_node_that_leaves_while_a_spawn_is_failing_ends(
    autojump_clock: MockClock,
) -> None:
    class Failing(Actor):
        async def on_start(self) -> None:
            await trio.sleep(1)
            raise Boom

    async def spawn(node: Node) -> None:
        with pytest.raises(StartFailed):
            await node.spawn(Failing)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery, Node("n") as node:
            nursery.start_soon(spawn, node)
            await trio.sleep(0.5)


@pytest.mark.parametrize("shutdown", [-1.0, "never"])
def test_an_impossible_shutdown_is_refused(shutdown: object) -> None:
    with pytest.raises(BadChildSpec, match="shutdown"):
        child("a", Recorder, []).options(shutdown=shutdown)  # type: ignore[arg-type]


@given(
    naps=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.5, 1.0, 2.0, 100.0]),
            st.sampled_from([0.0, 0.5, 1.0, "kill"]),
        ),
        min_size=1,
        max_size=5,
    ),
    instant=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 2**32),
)
@settings(UNHURRIED, max_examples=150)
def test_a_stop_takes_no_longer_than_the_shutdown_times(
    naps: list[tuple[float, float | str]], instant: float, seed: int
) -> None:
    """S5, S6: whatever is being handled when the stop comes, also in the very same instant."""

    async def main() -> tuple[float, int]:
        before = trio.lowlevel.current_statistics().tasks_living
        specs = [
            child(f"a{n}", SlowDiarist, diary).options(shutdown=shutdown)  # type: ignore[arg-type]
            for n, (_, shutdown) in enumerate(naps)
        ]
        async with Node("n", supervisor(*specs)) as node:
            for number, (seconds, _) in enumerate(naps):
                node.ref(f"a{number}").tell(Nap(seconds))
                node.ref(f"a{number}").tell(Nap(seconds))
            await trio.sleep(instant)
            begun = trio.current_time()
        left = trio.lowlevel.current_statistics().tasks_living - before
        return trio.current_time() - begun, left

    diary = Diary()
    taken, left = run_virtual(main, seed=seed)
    allowed = sum(shutdown for _, shutdown in naps if not isinstance(shutdown, str))
    assert taken <= allowed + 1e-9
    assert left == 0
