"""S6: an actor is gone within its shutdown time, whatever its handler is stuck in."""

from __future__ import annotations

import threading

import pytest
import trio
from trio.testing import MockClock

from schedule_zero.runtime import (
    Actor,
    ActorFailed,
    Node,
    Request,
    Supervisor,
    TerminateChild,
    blocking,
    child,
    handles,
    message,
    supervisor,
)


@message
class Stick(Request[None]):
    """Be stuck until released."""


class Shielded(Actor):
    """Stuck where trio cannot cancel it."""

    def __init__(self, released: trio.Event, ended: list[str]) -> None:
        self.released = released
        self.ended = ended

    @handles
    async def stick(self, msg: Stick) -> None:
        with trio.CancelScope(shield=True):
            await self.released.wait()
        self.ended.append("handler")


async def test_an_actor_whose_handler_shields_itself_is_gone_all_the_same(
    autojump_clock: MockClock,
) -> None:
    released, ended = trio.Event(), list[str]()
    sup = supervisor(child("a", Shielded, released, ended).options(shutdown=2.0))
    async with Node("n", supervisor(child("sup", Supervisor, sup))) as node:
        ref = node.ref("sup/a")
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(ActorFailed, match="killed"):
                    await ref.ask(Stick(), timeout=100)

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            begun = trio.current_time()
            await node.ref("sup").ask(TerminateChild("a"), timeout=100)
            assert trio.current_time() - begun == pytest.approx(3.0)  # shutdown, and a moment
        assert ref.is_stopped
        released.set()
        await trio.testing.wait_all_tasks_blocked()
        assert ended == ["handler"]  # what it does after that harms nobody


class InThread(Actor):
    """Stuck in a thread."""

    def __init__(self, released: threading.Event) -> None:
        self.released = released

    @handles
    @blocking
    def stick(self, msg: Stick) -> None:
        self.released.wait()


async def test_an_actor_that_is_stuck_in_a_thread_is_gone_at_once_when_killed() -> None:
    released = threading.Event()
    sup = supervisor(child("a", InThread, released).options(shutdown="kill"))
    try:
        async with Node("n", supervisor(child("sup", Supervisor, sup))) as node:
            ref = node.ref("sup/a")
            ref.tell(Stick())
            await trio.testing.wait_all_tasks_blocked(0.01)
            await node.ref("sup").ask(TerminateChild("a"))
            assert ref.is_stopped
    finally:
        released.set()
