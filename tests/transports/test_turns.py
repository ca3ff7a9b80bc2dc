"""Fairness of `receive`, on sources made for it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from schedule_zero.transports import Link, Received
from schedule_zero.transports.base import BATCH_BYTES, BATCH_EVENTS
from schedule_zero.transports.turns import TURN, Batch, Turns


class Tap:
    """A source of as many frames as are asked for."""

    def __init__(self, frames: int, size: int = 1) -> None:
        self.link = Link("a tap")
        self.left = frames
        self.size = size

    def take(self, batch: Batch) -> bool:
        for _ in range(TURN):
            if batch.is_full:
                return True
            if not self.left:
                return False
            self.left -= 1
            batch.add_frame(self.link, b"x" * self.size)
        return True


class Refuser:
    """A source that always has something, none of which is an event."""

    def take(self, batch: Batch) -> bool:
        return True


def count(events: list[object], tap: Tap) -> int:
    return sum(isinstance(event, Received) and event.link is tap.link for event in events)


async def test_sources_have_turns_of_the_same_size() -> None:
    turns, taps = Turns(), [Tap(10_000) for _ in range(4)]
    for tap in taps:
        turns.note(tap)
    for _ in range(10):
        events = await turns.receive()
        assert len(events) <= BATCH_EVENTS
        assert max(count(events, tap) for tap in taps) <= 2 * TURN


async def test_whoever_had_no_turn_is_first_in_the_next_batch() -> None:
    turns, flood = Turns(), [Tap(10_000) for _ in range(20)]
    for tap in flood:
        turns.note(tap)
    seen = [0] * 20
    for _ in range(5):
        events = await turns.receive()
        seen = [seen[index] + count(events, tap) for index, tap in enumerate(flood)]
    assert max(seen) - min(seen) <= TURN


async def test_a_batch_of_large_frames_ends_early() -> None:
    turns, tap = Turns(), Tap(100, BATCH_BYTES // 4)
    turns.note(tap)
    assert len(await turns.receive()) == 4


async def test_a_source_of_nothing_does_not_hold_up_the_loop() -> None:
    turns, tap, passed = Turns(), Tap(1), 0
    turns.note(Refuser())

    async def pass_by() -> None:
        nonlocal passed
        while True:
            passed += 1
            await trio.lowlevel.checkpoint()

    with trio.move_on_after(0.2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pass_by)
            await turns.receive()
    assert passed > 10
    turns.note(tap)
    assert count(await turns.receive(), tap) == 1


async def test_who_waits_is_woken_by_news_and_not_by_what_was_forgotten() -> None:
    turns, tap = Turns(), Tap(1)
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            assert count(await turns.receive(), tap) == 1
            nursery.cancel_scope.cancel()

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        turns.note(tap)
        turns.forget(tap)
        await wait_all_tasks_blocked()
        turns.note(tap)
        await trio.sleep_forever()


async def test_a_cancelled_receive_takes_nothing() -> None:
    turns, tap = Turns(), Tap(3)
    turns.note(tap)
    with trio.CancelScope() as scope:
        scope.cancel()
        await turns.receive()
    assert scope.cancelled_caught
    assert count(await turns.receive(), tap) == 3


async def test_a_second_who_waits_is_refused() -> None:
    turns = Turns()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.receive)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await turns.receive()
        nursery.cancel_scope.cancel()
