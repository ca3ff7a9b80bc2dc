"""Asks: each ends with a reply or a named error, within its timeout (M3)."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock

from schedule_zero.runtime import (
    Actor,
    ActorFailed,
    ActorRef,
    ActorStopped,
    AskTimeout,
    MailboxFull,
    Node,
    Request,
    UnhandledMessage,
    child,
    handles,
    message,
    supervisor,
)
from schedule_zero.runtime.pending import Pending

from .actors import Boom, Crash, CrashAsk, Echo, Nap, Note, Quit, Recorder, SlowEcho


@message
class Unknown(Request[int]):
    """No actor takes it."""


@message
class AskOther(Request[object]):
    """Ask this ref and hand its answer on."""

    ref: ActorRef


class Answerer(Recorder):
    """Also takes answers over, to give them later."""

    def __init__(self) -> None:
        super().__init__([])
        self.pending: list[Pending] = []

    @handles
    def hold(self, msg: AskOther) -> None:
        self.pending.append(self.context.reply_later())

    @handles
    def release(self, msg: Note) -> None:
        for pending in self.pending:
            if isinstance(msg.text, Exception):
                pending.reject(msg.text)
            else:
                pending.resolve(msg.text)


@pytest.mark.parametrize("request_", [Echo("x"), SlowEcho("x")], ids=["def", "async"])
async def test_the_return_value_is_the_answer(
    request_: Request[object], autojump_clock: MockClock
) -> None:
    async with Node("n") as node:
        assert await (await node.spawn(Recorder, [])).ask(request_) == "x"


async def test_none_is_an_answer_too(autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        ref = await node.spawn(Recorder, [])
        assert await ref.ask(Echo(None), timeout=1) is None
        assert await ref.ask(SlowEcho(None, 0.5), timeout=1) is None


async def test_an_ask_comes_after_what_was_told_before(autojump_clock: MockClock) -> None:
    notes: list[object] = []
    async with Node("n") as node:
        ref = await node.spawn(Recorder, notes)
        ref.tell(Note(1))
        await ref.ask(Echo())
        assert notes == [1]


async def test_no_answer_in_time_is_a_timeout(autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        ref = await node.spawn(child("a", Recorder, []))
        begun = trio.current_time()
        with pytest.raises(AskTimeout) as caught:
            await ref.ask(SlowEcho(seconds=60), timeout=2.5)
        assert trio.current_time() - begun == pytest.approx(2.5)
        assert (caught.value.target, caught.value.message) == ("a", SlowEcho(seconds=60))
        assert isinstance(caught.value, TimeoutError)


async def test_a_request_that_waits_behind_others_times_out_too(
    autojump_clock: MockClock,
) -> None:
    async with Node("n") as node:
        ref = await node.spawn(Recorder, [])
        ref.tell(Nap(60))
        with pytest.raises(AskTimeout):
            await ref.ask(Echo(), timeout=1)


async def test_a_late_reply_is_dropped_and_counted(autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        ref = await node.spawn(Recorder, [])
        with pytest.raises(AskTimeout):
            await ref.ask(SlowEcho(seconds=5), timeout=1)
        assert await ref.ask(Echo("fresh"), timeout=10) == "fresh"
        assert node.dead_letters.counts["late_reply"] == 1


async def test_an_ask_may_wait_for_ever(autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        ref = await node.spawn(Recorder, [])
        assert await ref.ask(SlowEcho("x", 10_000), timeout=math.inf) == "x"


@pytest.mark.parametrize("busy", [False, True], ids=["in place", "queued"])
async def test_a_failing_handler_fails_the_ask_at_once(
    busy: bool, autojump_clock: MockClock
) -> None:
    async with Node("n", supervisor(child("a", Recorder, []))) as node:
        ref = node.ref("a")
        if busy:
            ref.tell(Note("first"))
        begun = trio.current_time()
        with pytest.raises(ActorFailed) as caught:
            await ref.ask(CrashAsk("ow"))
        assert trio.current_time() == begun
        assert (caught.value.error_type, caught.value.error) == ("Boom", "ow")
        assert "in crash_ask" in caught.value.traceback


async def test_a_failing_handler_in_place_fails_the_actor_too(autojump_clock: MockClock) -> None:
    async with Node("n", supervisor(child("a", Recorder, []))) as node:
        with pytest.raises(ActorFailed):
            await node.ref("a").ask(CrashAsk())
        await trio.sleep(1)
        assert [letter.reason for letter in node.dead_letters.recent] == ["failed"]
        assert await node.ref("a").ask(Echo(1)) == 1


async def test_a_stopped_actor_answers_with_actor_stopped(autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        ref = await node.spawn(Recorder, [])
        ref.stop()
        await trio.sleep(1)
        with pytest.raises(ActorStopped):
            await ref.ask(Echo())


async def test_requests_that_wait_when_the_actor_stops_end_at_once(
    autojump_clock: MockClock,
) -> None:
    async with Node("n") as node:
        ref = await node.spawn(Recorder, [])
        ref.tell(Nap(1))
        ref.tell(Quit())
        begun = trio.current_time()
        with pytest.raises(ActorStopped):
            await ref.ask(Echo(), timeout=60)
        assert trio.current_time() - begun == pytest.approx(1)


async def test_requests_that_wait_when_the_actor_restarts_are_answered(
    autojump_clock: MockClock,
) -> None:
    async with Node("n", supervisor(child("a", Recorder, []))) as node:
        node.ref("a").tell(Nap(1))
        node.ref("a").tell(Crash())
        assert await node.ref("a").ask(Echo("next life")) == "next life"


async def test_a_killed_handler_fails_its_ask(autojump_clock: MockClock) -> None:
    errors: list[BaseException] = []

    async def ask(ref: ActorRef) -> None:
        try:
            await ref.ask(SlowEcho(seconds=60), timeout=60)
        except ActorFailed as error:
            errors.append(error)

    async with trio.open_nursery() as nursery, Node("n") as node:
        ref = await node.spawn(child("a", Recorder, []).options(shutdown=1.0))
        nursery.start_soon(ask, ref)
        await trio.sleep(1)
    (error,) = errors
    assert isinstance(error, ActorFailed)
    assert error.error_type == "Killed"


async def test_a_full_mailbox_refuses_at_once(autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        ref = await node.spawn(child("a", Recorder, []).options(capacity=1))
        ref.tell(Nap(1))
        await trio.sleep(0.5)
        ref.tell(Note("waits"))
        with pytest.raises(MailboxFull, match="1"):
            await ref.ask(Echo())


async def test_a_request_that_nobody_handles_says_so(autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        ref = await node.spawn(child("a", Recorder, []))
        with pytest.raises(UnhandledMessage, match="Unknown"):
            await ref.ask(Unknown())
        assert await ref.ask(Echo(1)) == 1


async def test_a_cancelled_ask_leaves_the_actor_well(autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        ref = await node.spawn(Recorder, [])
        with trio.move_on_after(1) as scope:
            await ref.ask(SlowEcho(seconds=2))
        assert scope.cancelled_caught
        assert await ref.ask(Echo("well")) == "well"


async def test_an_actor_asks_another(autojump_clock: MockClock) -> None:
    class Middle(Actor):
        @handles
        async def ask_other(self, msg: AskOther) -> object:
            return await msg.ref.ask(SlowEcho("from below"))

    async with Node("n") as node:
        below, middle = await node.spawn(Recorder, []), await node.spawn(Middle)
        assert await middle.ask(AskOther(below)) == "from below"


async def test_an_unhandled_error_of_an_ask_fails_the_asking_actor(
    autojump_clock: MockClock,
) -> None:
    class Middle(Actor):
        @handles
        async def ask_other(self, msg: AskOther) -> object:
            return await msg.ref.ask(CrashAsk("below"))

    async with Node("n") as node:
        below, middle = await node.spawn(Recorder, []), await node.spawn(Middle)
        with pytest.raises(ActorFailed, match="below") as caught:
            await middle.ask(AskOther(below))
        assert caught.value.error_type == "ActorFailed"


async def test_reply_later_answers_when_told_to(autojump_clock: MockClock) -> None:
    answers: list[object] = []

    async def ask(ref: ActorRef) -> None:
        answers.append(await ref.ask(AskOther(ref)))

    async with Node("n") as node, trio.open_nursery() as nursery:
        ref = await node.spawn(Answerer)
        nursery.start_soon(ask, ref)
        nursery.start_soon(ask, ref)
        await trio.sleep(1)
        assert answers == []
        ref.tell(Note("now"))
    assert answers == ["now", "now"]


async def test_reply_later_may_reject(autojump_clock: MockClock) -> None:
    async with Node("n") as node, trio.open_nursery() as nursery:
        ref = await node.spawn(Answerer)

        async def ask() -> None:
            with pytest.raises(Boom, match="no"):
                await ref.ask(AskOther(ref))

        nursery.start_soon(ask)
        await trio.sleep(1)
        ref.tell(Note(Boom("no")))


async def test_an_answer_taken_over_and_forgotten_is_a_timeout(
    autojump_clock: MockClock,
) -> None:
    async with Node("n") as node:
        ref = await node.spawn(Answerer)
        with pytest.raises(AskTimeout):
            await ref.ask(AskOther(ref), timeout=2)


async def test_reply_later_to_a_told_message_goes_nowhere(autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        ref = await node.spawn(Answerer)
        ref.tell(AskOther(ref))
        ref.tell(Note("now"))
        assert await ref.ask(Echo("well")) == "well"


async def test_every_one_of_many_asks_over_a_failing_actor_ends(
    autojump_clock: MockClock,
) -> None:
    """M3: none is lost between one life and the next."""
    ended: list[object] = []

    async def ask(ref: ActorRef, number: int) -> None:
        request: Request[object] = CrashAsk() if number % 5 == 0 else SlowEcho(number, 0.1)
        try:
            ended.append(await ref.ask(request, timeout=60))
        except ActorFailed as error:
            ended.append(error)

    spec = supervisor(child("a", Recorder, []), max_restarts=math.inf)
    async with Node("n", spec) as node, trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(ask, node.ref("a"), number)
    assert len(ended) == 100
    assert sum(isinstance(one, ActorFailed) for one in ended) == 20
