"""`@cpu_bound`: work that leaves the node's thread, and how it ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from schedule_zero.runtime import (
    Actor,
    ActorFailed,
    BadHandler,
    Node,
    Request,
    child,
    cpu_bound,
    handles,
    message,
    supervisor,
)


@message
class WhoAmI(Request[int]):
    """Which process handles this?"""


@message
class Divide(Request[float]):
    """Divide one by `by`."""

    by: int


@message
class Spin(Request[None]):
    """Say who you are in a file, then compute for ever."""

    into: str


class Sums(Actor):
    """Works in a process of its own."""

    @staticmethod
    @handles
    @cpu_bound
    def pid(msg: WhoAmI) -> int:
        return os.getpid()

    @staticmethod
    @handles
    @cpu_bound
    def divide(msg: Divide) -> float:
        return 1 / msg.by

    @staticmethod
    @handles
    @cpu_bound
    def spin(msg: Spin) -> None:
        Path(msg.into).write_text(str(os.getpid()))
        while True:
            pass


class MoreSums(Sums):
    """Another way to divide."""

    @staticmethod
    @handles
    @cpu_bound
    def divide(msg: Divide) -> float:
        return 10 / msg.by


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def said(file: Path) -> str:
    return file.read_text() if file.exists() else ""


async def spinning(file: Path) -> int:
    """The process that spins, once it does."""
    with trio.fail_after(30):
        while not said(file):
            await trio.sleep(0.01)
    return int(said(file))


async def test_it_runs_in_a_process_that_ends_with_the_node() -> None:
    async with Node("n", supervisor(child("sums", Sums))) as node:
        pid = await node.ref("sums").ask(WhoAmI(), timeout=30)
        assert pid != os.getpid()
        assert pid == await node.ref("sums").ask(WhoAmI(), timeout=30)
    assert not is_alive(pid)


async def test_what_it_raises_fails_the_actor() -> None:
    async with Node("n", supervisor(child("sums", Sums))) as node:
        with pytest.raises(ActorFailed, match="ZeroDivisionError") as caught:
            await node.ref("sums").ask(Divide(0), timeout=30)
        assert "return 1 / msg.by" in caught.value.traceback
        assert await node.ref("sums").ask(Divide(2), timeout=30) == 0.5


async def test_a_subclass_may_override_it() -> None:
    async with Node("n", supervisor(child("sums", MoreSums))) as node:
        assert await node.ref("sums").ask(Divide(2), timeout=30) == 5.0


async def test_an_actor_that_computes_is_gone_within_its_shutdown_time(tmp_path: Path) -> None:
    spec = child("sums", Sums).options(shutdown=0.1)
    async with Node("n", supervisor(spec)) as node:
        node.ref("sums").tell(Spin(str(tmp_path / "pid")))
        pid = await spinning(tmp_path / "pid")
        assert is_alive(pid)
    assert not is_alive(pid)


async def test_the_node_goes_on_meanwhile(tmp_path: Path) -> None:
    spec = child("sums", Sums).options(shutdown="kill")
    async with Node("n", supervisor(spec, child("other", Sums))) as node:
        node.ref("sums").tell(Spin(str(tmp_path / "pid")))
        await spinning(tmp_path / "pid")
        assert await node.ref("other").ask(Divide(4), timeout=30) == 0.25


async def test_a_node_without_threads_calls_it_in_place() -> None:
    async with Node("n", supervisor(child("sums", Sums)), threads=0) as node:
        assert await node.ref("sums").ask(WhoAmI()) == os.getpid()


def test_an_async_method_is_refused() -> None:
    with pytest.raises(BadHandler, match="is async"):

        @cpu_bound
        async def render(msg: Divide) -> None: ...


def test_a_class_that_no_worker_finds_is_refused() -> None:
    with pytest.raises(BadHandler, match="top of a module"):

        class Local(Actor):
            @staticmethod
            @handles
            @cpu_bound
            def divide(msg: Divide) -> float:
                return 0.0


def unbound(self: object, msg: Divide) -> float:
    return 0.0


def test_a_method_that_wants_the_actor_is_refused() -> None:
    with pytest.raises(BadHandler, match="static when it is @cpu_bound"):
        type("Bad", (Actor,), {"divide": handles(cpu_bound(unbound))})


def test_a_static_method_that_is_not_cpu_bound_is_refused() -> None:
    with pytest.raises(BadHandler, match="and only then"):

        class Bad(Actor):
            @staticmethod
            @handles
            def divide(msg: Divide) -> float:
                return 0.0
