"""Bounded mailboxes: what happens without room, waiting for room, priority and stash."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from schedule_zero.runtime import (
    Actor,
    ActorStopped,
    BadChildSpec,
    ChildSpec,
    MailboxFull,
    Node,
    Request,
    StashFull,
    child,
    handles,
    message,
    supervisor,
)
from schedule_zero.runtime.mailbox import PriorityMailbox


@message
class Note:
    number: int


@message
class Notes(Request[list[int]]):
    pass


@message
class Hold:
    pass


class Keeper(Actor):
    """Notes numbers; `Hold` keeps it busy until the gate opens."""

    def __init__(self, gate: trio.Event) -> None:
        self.gate = gate
        self.notes: list[int] = []

    @handles
    def note(self, msg: Note) -> None:
        self.notes.append(msg.number)

    @handles
    def report(self, msg: Notes) -> list[int]:
        return list(self.notes)

    @handles
    async def hold(self, msg: Hold) -> None:
        await self.gate.wait()


def keeper(gate: trio.Event, **options: object) -> ChildSpec:
    return child("keeper", Keeper, gate).options(**options)  # type: ignore[arg-type]


async def test_a_tell_without_room_is_a_dead_letter_and_an_ask_is_rejected() -> None:
    gate = trio.Event()
    async with Node("n", supervisor(keeper(gate, capacity=2))) as node:
        ref = node.ref("keeper")
        ref.tell(Hold())
        await trio.testing.wait_all_tasks_blocked()
        for number in range(4):
            ref.tell(Note(number))
        with pytest.raises(MailboxFull, match="2 messages"):
            await ref.ask(Notes())
        gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert await ref.ask(Notes()) == [0, 1]
        assert node.dead_letters.counts == {"mailbox_full": 2}


@pytest.mark.parametrize(("overflow", "kept"), [("drop_oldest", [2, 3]), ("drop_newest", [0, 1])])
async def test_a_full_mailbox_drops_as_its_spec_says(overflow: str, kept: list[int]) -> None:
    gate = trio.Event()
    async with Node("n", supervisor(keeper(gate, capacity=2, overflow=overflow))) as node:
        ref = node.ref("keeper")
        ref.tell(Hold())
        await trio.testing.wait_all_tasks_blocked()
        for number in range(4):
            ref.tell(Note(number))
        gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert await ref.ask(Notes()) == kept
        assert node.dead_letters.counts == {"dropped": 2}


async def test_an_ask_that_is_dropped_for_a_newer_message_is_rejected() -> None:
    gate = trio.Event()
    async with Node("n", supervisor(keeper(gate, capacity=1, overflow="drop_oldest"))) as node:
        ref = node.ref("keeper")
        ref.tell(Hold())
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(MailboxFull):
                    await ref.ask(Notes())

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            ref.tell(Note(1))
        gate.set()


async def test_send_waits_for_room_and_lets_senders_in_in_their_order() -> None:
    gate = trio.Event()
    async with Node("n", supervisor(keeper(gate, capacity=2))) as node:
        ref = node.ref("keeper")
        ref.tell(Hold())
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(ref.send, Note(number))
                await trio.testing.wait_all_tasks_blocked()
            assert len(node.root.children["keeper"].mailbox) == 2
            gate.set()
        assert await ref.ask(Notes()) == list(range(6))
        assert not node.dead_letters.counts


async def test_a_cancelled_send_sends_nothing_and_holds_nobody_up() -> None:
    gate = trio.Event()
    async with Node("n", supervisor(keeper(gate, capacity=1))) as node:
        ref = node.ref("keeper")
        ref.tell(Hold())
        await trio.testing.wait_all_tasks_blocked()
        ref.tell(Note(0))
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            async def cancelled() -> None:
                with scope:
                    await ref.send(Note(1))

            nursery.start_soon(cancelled)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ref.send, Note(2))
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            gate.set()
        assert await ref.ask(Notes()) == [0, 2]


async def test_who_waits_in_send_is_told_when_the_actor_stops() -> None:
    async with Node("n") as node:
        ref = await node.spawn(keeper(trio.Event(), capacity=1, shutdown="kill"))
        ref.tell(Hold())
        await trio.testing.wait_all_tasks_blocked()
        ref.tell(Note(0))
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                with pytest.raises(ActorStopped):
                    await ref.send(Note(1))

            nursery.start_soon(send)
            await trio.testing.wait_all_tasks_blocked()
            node.root.children["keeper"].kill()
        with pytest.raises(ActorStopped):
            await ref.send(Note(2))


async def test_a_priority_orders_what_waits() -> None:
    class Urgent(Keeper):
        @staticmethod
        def priority(msg: object) -> float:
            return msg.number % 10 if isinstance(msg, Note) else -1

    gate = trio.Event()
    async with Node("n", supervisor(child("keeper", Urgent, gate))) as node:
        ref = node.ref("keeper")
        ref.tell(Hold())
        await trio.testing.wait_all_tasks_blocked()
        for number in (1, 9, 11, 5, 19):
            ref.tell(Note(number))
        gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert await ref.ask(Notes()) == [9, 19, 5, 1, 11]


@given(st.lists(st.tuples(st.sampled_from(["back", "front", "take"]), st.integers(0, 3))))
def test_a_priority_mailbox_is_a_stable_sort(steps: list[tuple[str, int]]) -> None:
    """Taking gives the highest priority, and among equals the order of a plain queue."""
    mailbox = PriorityMailbox(lambda msg: msg[0])
    plain: list[tuple[int, int]] = []
    for place, (step, priority) in enumerate(steps):
        mail = ((priority, place), None)
        if step == "back":
            mailbox.append(mail)
            plain.append(mail[0])
        elif step == "front":
            mailbox.appendleft(mail)
            plain.insert(0, mail[0])
        elif plain:
            expected = max(plain, key=lambda each: each[0])
            assert mailbox.popleft()[0] == expected
            plain.remove(expected)
        assert len(mailbox) == len(plain)


class Gate(Actor):
    """Stashes what comes before it is opened."""

    def __init__(self) -> None:
        self.is_open = False
        self.notes: list[int] = []

    @handles
    def open(self, msg: Hold) -> None:
        self.is_open = True
        self.context.unstash()

    @handles
    def note(self, msg: Note) -> None:
        if msg.number < 0:
            raise ValueError(msg.number)
        if self.is_open:
            self.notes.append(msg.number)
        else:
            self.context.stash(msg)

    @handles
    def report(self, msg: Notes) -> list[int] | None:
        if not self.is_open:
            self.context.stash(msg)
            return None
        return list(self.notes)


async def test_what_is_stashed_is_handled_in_order_and_an_ask_is_answered_then() -> None:
    async with Node("n", supervisor(child("gate", Gate))) as node:
        ref = node.ref("gate")
        ref.tell(Note(1))
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                assert await ref.ask(Notes()) == [1]

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            ref.tell(Note(2))
            ref.tell(Hold())
        assert await ref.ask(Notes()) == [1, 2]


async def test_what_is_stashed_when_the_actor_fails_is_kept_for_the_next_life() -> None:
    async with Node("n", supervisor(child("gate", Gate))) as node:
        ref = node.ref("gate")
        for number in (1, 2, -1, 3):
            ref.tell(Note(number))
        await trio.testing.wait_all_tasks_blocked()
        ref.tell(Hold())
        await trio.testing.wait_all_tasks_blocked()
        assert await ref.ask(Notes()) == [1, 2, 3]


async def test_the_stash_is_bounded() -> None:
    async with Node("n", supervisor(child("gate", Gate).options(capacity=2))) as node:
        ref = node.ref("gate")
        for number in range(3):
            ref.tell(Note(number))
            await trio.testing.wait_all_tasks_blocked()
        assert node.root.children["gate"].last_failure.startswith(StashFull.__name__)


def test_an_unknown_overflow_is_refused() -> None:
    with pytest.raises(BadChildSpec, match="overflow='drop'"):
        child("keeper", Keeper).options(overflow="drop")  # type: ignore[arg-type]


async def test_a_full_mailbox_with_priorities_drops_the_oldest_of_the_least_urgent() -> None:
    class Urgent(Keeper):
        @staticmethod
        def priority(msg: object) -> float:
            return float(msg.number % 10) if isinstance(msg, Note) else 0.0

    gate = trio.Event()
    spec = child("k", Urgent, gate).options(capacity=3, overflow="drop_oldest")
    async with Node("n", supervisor(spec)) as node:
        ref = node.ref("k")
        ref.tell(Hold())
        await trio.testing.wait_all_tasks_blocked()
        for number in (9, 1, 11, 5, 0):
            ref.tell(Note(number))
        dropped = [letter.message for letter in node.dead_letters.recent]
        gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert await ref.ask(Notes()) == [9, 5, 11]
    assert dropped == [Note(1), Note(0)]


async def test_a_priority_that_raises_is_logged_and_the_message_handled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Faulty(Keeper):
        @staticmethod
        def priority(msg: object) -> float:
            return 1 / 0

    async with Node("n", supervisor(child("k", Faulty, trio.Event()))) as node:
        node.ref("k").tell(Note(1))
        assert await node.ref("k").ask(Notes()) == [1]
    assert "the priority of a Note failed" in caplog.text
