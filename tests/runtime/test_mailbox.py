"""Mailboxes: bounded, in order, and whatever is not handled is a dead letter (M5)."""

from __future__ import annotations

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock

from schedule_zero.runtime import (
    Actor,
    BadChildSpec,
    DeadLetter,
    Node,
    child,
    handles,
    supervisor,
)

from .actors import Crash, Echo, Nap, Note, Quit, Recorder


@frozen
class Stray:
    """A plain value that no actor takes."""


async def test_what_is_over_the_capacity_becomes_a_dead_letter(
    autojump_clock: MockClock,
) -> None:
    notes: list[object] = []
    async with Node("n") as node:
        ref = await node.spawn(child("a", Recorder, notes).options(capacity=3))
        ref.tell(Nap(1))
        await trio.sleep(0.5)
        for number in range(5):
            ref.tell(Note(number))
        letters = [(letter.message, letter.reason) for letter in node.dead_letters.recent]
        await trio.sleep(1)
    assert letters == [(Note(3), "mailbox_full"), (Note(4), "mailbox_full")]
    assert notes == [0, 1, 2]


async def test_the_mailbox_of_an_actor_that_waits_for_its_restart_is_bounded_too(
    autojump_clock: MockClock,
) -> None:
    class Slow(Recorder):
        async def on_start(self) -> None:
            await trio.sleep(10)

    notes: list[object] = []
    spec = supervisor(child("a", Slow, notes).options(capacity=2))
    async with Node("n", spec) as node:
        node.ref("a").tell(Crash())
        await trio.sleep(1)
        for number in range(5):
            node.ref("a").tell(Note(number))
        assert node.dead_letters.counts["mailbox_full"] == 3
        await trio.sleep(10)
    assert notes == [0, 1]


async def test_a_capacity_below_one_is_refused() -> None:
    with pytest.raises(BadChildSpec, match="capacity=0"):
        child("a", Recorder, []).options(capacity=0)


async def test_a_message_to_a_stopped_actor_is_a_dead_letter(autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        ref = await node.spawn(child("a", Recorder, []))
        ref.stop()
        await trio.sleep(1)
        ref.tell(Note("late"))
        (letter,) = node.dead_letters.recent
    assert (letter.target, letter.message, letter.reason) == ("a", Note("late"), "stopped")


async def test_mail_that_waits_at_the_end_becomes_dead_letters_in_order(
    autojump_clock: MockClock,
) -> None:
    async with Node("n") as node:
        ref = await node.spawn(child("a", Recorder, []))
        for message in (Quit(), Note(1), Note(2)):
            ref.tell(message)
        await trio.sleep(1)
        assert [letter.message for letter in node.dead_letters.recent] == [Note(1), Note(2)]


async def test_a_told_message_that_nobody_handles_is_a_dead_letter(
    autojump_clock: MockClock,
) -> None:
    async with Node("n") as node:
        ref = await node.spawn(child("a", Recorder, []))
        ref.tell(Stray())
        assert await ref.ask(Echo(1)) == 1
        assert [letter.reason for letter in node.dead_letters.recent] == ["unhandled"]


async def test_a_dead_letter_names_the_actor_that_sent_it(autojump_clock: MockClock) -> None:
    class Sender(Actor):
        @handles
        def send(self, msg: Note) -> None:
            self.context.node.ref("target").tell(Stray())

    async with Node("n") as node:
        await node.spawn(child("target", Recorder, []))
        (await node.spawn(child("source", Sender))).tell(Note("go"))
        await trio.sleep(1)
        (letter,) = node.dead_letters.recent
    assert (letter.sender, letter.target) == ("source", "target")


async def test_listeners_hear_of_each_dead_letter_until_they_leave(
    autojump_clock: MockClock,
) -> None:
    heard: list[DeadLetter] = []
    async with Node("n") as node:
        ref = await node.spawn(Recorder, [])
        ref.stop()
        await trio.sleep(1)
        leave = node.dead_letters.subscribe(heard.append)
        ref.tell(Note(1))
        leave()
        ref.tell(Note(2))
    assert [letter.message for letter in heard] == [Note(1)]


async def test_dead_letters_are_all_counted_and_the_newest_kept(
    autojump_clock: MockClock,
) -> None:
    async with Node("n") as node:
        ref = await node.spawn(Recorder, [])
        ref.stop()
        await trio.sleep(1)
        for number in range(3_000):
            ref.tell(Note(number))
        assert node.dead_letters.counts["stopped"] == 3_000
        recent = node.dead_letters.recent
    assert len(recent) == 1_000
    assert recent[-1].message == Note(2_999)


async def test_a_flood_of_dead_letters_is_logged_once_a_minute(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with Node("n") as node:
        ref = await node.spawn(Recorder, [])
        ref.stop()
        await trio.sleep(1)
        for _ in range(2):
            for number in range(100):
                ref.tell(Note(number))
            await trio.sleep(60)
    lines = [record for record in caplog.records if record.name == "schedule_zero.dead_letters"]
    assert len(lines) == 2


async def test_a_stop_overtakes_waiting_mail(autojump_clock: MockClock) -> None:
    notes: list[object] = []
    async with Node("n") as node:
        ref = await node.spawn(Recorder, notes)
        ref.tell(Nap(1))
        await trio.sleep(0.5)
        ref.tell(Note("not handled"))
        ref.stop()
        await trio.sleep(1)
        assert ref.is_stopped
    assert notes == []
