"""The dispatcher: many actors on few tasks, as if each had its own."""

from __future__ import annotations

import contextvars
import signal

import pytest
import trio
from trio.testing import MockClock

from schedule_zero.runtime import (
    Actor,
    ActorFailed,
    ActorRef,
    AskTimeout,
    Node,
    Request,
    child,
    handles,
    message,
    supervisor,
)

from .actors import Boom, Echo, Nap, Note, Recorder, SlowEcho
from .virtual import run_virtual, seeds

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


@message
class Do(Request[object]):
    """Run the receiver's `act`."""


@message
class Meet:
    """Here is your neighbour."""

    ref: ActorRef


class Relay(Actor):
    """Hands a countdown on to its neighbour; at zero it sets the event."""

    def __init__(self, done: trio.Event) -> None:
        self.done = done

    @handles
    def meet(self, msg: Meet) -> None:
        self.next = msg.ref

    @handles
    def hop(self, msg: int) -> None:
        if msg:
            self.next.tell(msg - 1)
        else:
            self.done.set()


class AsyncRelay(Relay):
    """The same with an `async def` receiver that now and then waits."""

    @handles
    async def hop(self, msg: int) -> None:  # type: ignore[override]
        if msg % 7 == 0:
            await trio.lowlevel.checkpoint()
        super().hop(msg)


async def ring(node: Node, size: int, kind: type[Relay] = Relay) -> tuple[ActorRef, trio.Event]:
    done = trio.Event()
    refs = [await node.spawn(kind, done) for _ in range(size)]
    for one, following in zip(refs, refs[1:] + refs[:1], strict=True):
        one.tell(Meet(following))
    return refs[0], done


@pytest.mark.parametrize("kind", [Relay, AsyncRelay])
async def test_a_message_goes_round_a_ring(kind: type[Relay], autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        first, done = await ring(node, 50, kind)
        first.tell(2_000)
        with trio.fail_after(60):
            await done.wait()


async def test_a_saturating_ring_does_not_starve_a_trio_task() -> None:
    """A task that only yields gets its turns while actors never run out of messages."""
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with Node("n") as node, trio.open_nursery() as nursery:
        first, done = await ring(node, 100)
        nursery.start_soon(take_turns)
        first.tell(100_000)
        await done.wait()
        nursery.cancel_scope.cancel()
    assert turns > 10


async def test_actors_that_never_run_out_of_messages_do_not_starve_others() -> None:
    async with Node("n") as node:
        for _ in range(3):
            first, _ = await ring(node, 2)
            first.tell(10**9)
        other = await node.spawn(Recorder, [])
        for _ in range(100):
            await other.ask(SlowEcho(seconds=0))
        node.kill()


async def test_asks_in_place_let_other_tasks_run_and_can_be_cancelled() -> None:
    async with Node("n") as node:
        ref = await node.spawn(Recorder, [])
        asks = 0

        async def ask_for_ever() -> None:
            nonlocal asks
            while True:
                await ref.ask(Echo())
                asks += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_for_ever)
            for _ in range(10):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    assert 0 < asks < 10_000


async def test_askers_in_place_take_turns() -> None:
    """Two tasks that ask without end get about as many answers each."""
    counts = [0, 0]
    async with Node("n") as node:
        ref = await node.spawn(Recorder, [])

        async def ask(which: int) -> None:
            while sum(counts) < 10_000:
                await ref.ask(Echo())
                counts[which] += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, 0)
            nursery.start_soon(ask, 1)
    assert min(counts) > 3_000


async def test_a_def_receiver_that_returns_a_coroutine_is_awaited(
    autojump_clock: MockClock,
) -> None:
    """Asked in place it cannot run on the asker's task; it gets one of its own."""
    senders: list[object] = []

    class Indirect(Actor):
        @handles
        def echo(self, msg: Echo) -> object:
            return self.later(msg)

        async def later(self, msg: Echo) -> object:
            with trio.move_on_after(1):
                await trio.sleep_forever()
            senders.append(self.context.sender)
            return msg.value

        @handles
        def crash(self, msg: Do) -> object:
            return self.crash_later()

        async def crash_later(self) -> None:
            raise Boom("later")

    async with Node("n") as node:
        ref = await node.spawn(Indirect)
        assert await ref.ask(Echo(1)) == 1
        with pytest.raises(ActorFailed, match="later"):
            await ref.ask(Do())
    assert senders == [None]


@pytest.mark.parametrize("seed", seeds(20))
def test_a_stopped_life_and_the_next_never_handle_at_once(seed: int) -> None:
    """A leftover stop must not put an actor in the ready queue twice."""
    overlaps = []

    class Busy(Actor):
        @handles
        async def nap(self, msg: Nap) -> None:
            if "busy" in marks:
                overlaps.append(msg)
            marks.append("busy")
            await trio.sleep(msg.seconds)
            marks.remove("busy")

    marks: list[str] = []

    async def main() -> None:
        async with Node("n", supervisor(child("a", Busy), max_restarts=100)) as node:
            ref = node.ref("a")
            for _ in range(4):
                ref.tell(Nap(1))
            for _ in range(4):
                await trio.sleep(0.4)
                ref.stop()
                ref.stop()
            await trio.sleep(10)

    run_virtual(main, seed=seed)
    assert not overlaps


async def test_context_variables_of_an_actor_are_its_own(autojump_clock: MockClock) -> None:
    seen: dict[str, str] = {}

    class Setter(Actor):
        @handles
        async def set(self, msg: Note) -> None:
            VARIABLE.set(str(msg.text))
            await trio.sleep(1)
            seen[self.context.ref.path] = VARIABLE.get()

        @handles
        def set_at_once(self, msg: Echo) -> object:
            VARIABLE.set(str(msg.value))
            return VARIABLE.get()

    VARIABLE.set("outside")
    async with Node("n") as node:
        refs = [await node.spawn(child(name, Setter)) for name in "ab"]
        for ref in refs:
            ref.tell(Note(ref.path))
        await trio.sleep(2)
        assert await refs[0].ask(Echo("in place")) == "in place"
        assert VARIABLE.get() == "outside"
    assert seen == {"a": "a", "b": "b"}


async def test_an_actor_begins_with_the_variables_of_who_entered_the_node() -> None:
    class Getter(Actor):
        @handles
        def get(self, msg: Echo) -> object:
            return VARIABLE.get()

    VARIABLE.set("mine")
    async with Node("n") as node:
        assert await (await node.spawn(Getter)).ask(Echo()) == "mine"


async def test_a_cancel_scope_in_a_handler_works(autojump_clock: MockClock) -> None:
    class Scoped(Actor):
        @handles
        async def do(self, msg: Do) -> object:
            with trio.move_on_after(1) as scope:
                await trio.sleep_forever()
            return scope.cancelled_caught

    async with Node("n") as node:
        assert await (await node.spawn(Scoped)).ask(Do()) is True


async def test_a_nursery_in_a_handler_works(autojump_clock: MockClock) -> None:
    class Parallel(Actor):
        @handles
        async def do(self, msg: Do) -> object:
            order: list[float] = []

            async def add(seconds: float) -> None:
                await trio.sleep(seconds)
                order.append(seconds)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(add, 2.0)
                nursery.start_soon(add, 1.0)
            return order

    async with Node("n") as node:
        assert await (await node.spawn(Parallel)).ask(Do()) == [1.0, 2.0]


async def test_the_current_task_of_a_handler_stays_the_same(autojump_clock: MockClock) -> None:
    class Curious(Actor):
        @handles
        async def do(self, msg: Do) -> object:
            await trio.sleep(1)
            first = trio.lowlevel.current_task()
            await trio.sleep(1)
            return first is trio.lowlevel.current_task()

    async with Node("n") as node:
        assert await (await node.spawn(Curious)).ask(Do()) is True


async def test_waiting_handlers_do_not_hold_up_each_other(autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        refs = [await node.spawn(Recorder, []) for _ in range(200)]
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            for ref in refs:
                nursery.start_soon(ref.ask, SlowEcho(seconds=1.0))
        assert trio.current_time() - begun == pytest.approx(1.0)


async def test_an_exception_group_is_a_failure_as_any_other(autojump_clock: MockClock) -> None:
    class Grouped(Actor):
        @handles
        async def do(self, msg: Do) -> object:
            async def fail() -> None:
                raise Boom

            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail)
            return None

        @handles
        def echo(self, msg: Echo) -> object:
            return msg.value

    async with Node("n", supervisor(child("a", Grouped))) as node:
        with pytest.raises(ActorFailed, match="ExceptionGroup"):
            await node.ref("a").ask(Do())
        assert await node.ref("a").ask(Echo(1)) == 1


async def test_a_killed_handler_that_fails_in_its_cleanup_harms_nobody_else(
    autojump_clock: MockClock,
) -> None:
    """Cancelled and an error in one group: the first is ours, the second is logged."""

    class Messy(Actor):
        @handles
        async def do(self, msg: Do) -> object:
            async def fail_on_the_way_out() -> None:
                try:
                    await trio.sleep_forever()
                finally:
                    raise Boom

            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail_on_the_way_out)
                await trio.sleep_forever()

    async with Node("n") as node:
        messy = await node.spawn(child("messy", Messy).options(shutdown=1.0))
        messy.tell(Do())
        await trio.sleep(1)


async def test_an_actor_that_asks_itself_gets_a_timeout(autojump_clock: MockClock) -> None:
    class Narcissus(Actor):
        @handles
        async def do(self, msg: Do) -> object:
            with pytest.raises(AskTimeout):
                await self.context.ref.ask(Do(), timeout=1.0)
            return "alive"

    async with Node("n") as node:
        assert await (await node.spawn(Narcissus)).ask(Do(), timeout=10) == "alive"


async def test_a_cycle_of_asks_ends_in_timeouts(autojump_clock: MockClock) -> None:
    class Asker(Actor):
        @handles
        def meet(self, msg: Meet) -> None:
            self.other = msg.ref

        @handles
        async def do(self, msg: Do) -> object:
            return await self.other.ask(Do(), timeout=2.0)

    async with Node("n") as node:
        a, b = await node.spawn(Asker), await node.spawn(Asker)
        a.tell(Meet(b))
        b.tell(Meet(a))
        with pytest.raises(ActorFailed, match="AskTimeout"):
            await a.ask(Do(), timeout=10.0)


async def test_a_message_to_oneself_comes_after_those_that_wait(
    autojump_clock: MockClock,
) -> None:
    notes: list[object] = []

    class Selfish(Recorder):
        @handles
        def do(self, msg: Do) -> None:
            self.context.ref.tell(Note("self"))

    async with Node("n") as node:
        ref = await node.spawn(Selfish, notes)
        ref.tell(Do())
        ref.tell(Note("waited"))
        await trio.sleep(1)
    assert notes == ["waited", "self"]


@pytest.mark.parametrize("waits", [False, True])
def test_a_keyboard_interrupt_in_a_handler_is_not_swallowed(waits: bool) -> None:
    class Interrupted(Actor):
        @handles
        async def do(self, msg: Do) -> object:
            if waits:
                await trio.sleep(1)
            raise KeyboardInterrupt

    async def main() -> None:
        async with Node("n") as node:
            (await node.spawn(Interrupted)).tell(Do())
            await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        run_virtual(main)
    assert caught.group_contains(KeyboardInterrupt)


def test_control_c_in_the_body_stops_the_tree_in_order() -> None:
    ends: list[str] = []

    class Ends(Actor):
        def on_stop(self, reason: object) -> None:
            ends.append(self.context.ref.path)

    async def main() -> None:
        async with Node("n", supervisor(child("a", Ends), child("b", Ends))):
            signal.raise_signal(signal.SIGINT)
            await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        run_virtual(main)
    assert ends == ["b", "a"]


def test_control_c_while_an_actor_handles_in_place_leaves_the_node_able_to_stop() -> None:
    class Signals(Actor):
        @handles
        def do(self, msg: Do) -> object:
            signal.raise_signal(signal.SIGINT)
            return "answered"

    async def main() -> None:
        async with Node("n", supervisor(child("a", Signals))) as node:
            assert await node.ref("a").ask(Do()) == "answered"
            await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        run_virtual(main)


def test_a_second_control_c_ends_a_stop_that_takes_too_long() -> None:
    class Clings(Actor):
        async def on_stop(self, reason: object) -> None:
            signal.raise_signal(signal.SIGINT)
            await trio.sleep_forever()

    spec = supervisor(child("a", Clings).options(shutdown="infinity"))

    async def main() -> None:
        async with Node("n", spec):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises((KeyboardInterrupt, BaseExceptionGroup)):
        run_virtual(main)
