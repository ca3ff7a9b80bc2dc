"""A node used from threads and from scripts that are not async."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
import trio

from schedule_zero.runtime import (
    Actor,
    ActorFailed,
    DeliveryError,
    Node,
    NodeError,
    NodeFailed,
    NoSuchActor,
    Request,
    StartFailed,
    child,
    handles,
    message,
    supervisor,
)


@message
class Add(Request[int]):
    amount: int


class Sum(Actor):
    def __init__(self, *, bad: bool = False) -> None:
        if bad:
            raise ValueError("bad")
        self.total = 0

    @handles
    def add(self, msg: Add) -> int:
        if msg.amount < 0:
            raise ValueError("negative")
        self.total += msg.amount
        return self.total


def test_a_script_tells_and_asks() -> None:
    before = threading.active_count()
    with Node.running("n", supervisor(child("sum", Sum))) as node:
        node.tell("sum", Add(1))
        assert node.ask("sum", Add(2)) == 3
        assert node.ask(node.ref("sum"), Add(0), timeout=1.0) == 3
        with pytest.raises(ActorFailed, match="negative"):
            node.ask("sum", Add(-1))
        with pytest.raises(NoSuchActor):
            node.ref("nobody")
    assert threading.active_count() <= before
    with pytest.raises(NodeError, match="ended"):
        node.ask("sum", Add(1))


def test_several_threads_ask_at_once() -> None:
    with Node.running("n", supervisor(child("sum", Sum))) as node:
        threads = [
            threading.Thread(target=lambda: [node.ask("sum", Add(1)) for _ in range(50)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert node.ask("sum", Add(0)) == 200


def test_a_start_that_fails_is_raised_to_the_script() -> None:
    with (
        pytest.raises(StartFailed, match="bad"),
        Node.running("n", supervisor(child("sum", Sum, bad=True))),
    ):
        pytest.fail("the block was entered")


def test_a_node_that_fails_meanwhile_is_raised_at_the_end() -> None:
    spec = supervisor(child("sum", Sum), max_restarts=0)
    with pytest.raises(NodeFailed), Node.running("n", spec) as node:
        with pytest.raises(ActorFailed):
            node.ask("sum", Add(-1))
        with pytest.raises(NodeError, match="ended"):
            while True:  # until it is seen that the node has failed
                with suppress(DeliveryError, NoSuchActor):
                    node.ask("sum", Add(0))


def test_the_error_of_the_block_comes_out() -> None:
    with pytest.raises(KeyError), Node.running("n", supervisor(child("sum", Sum))):
        raise KeyError("mine")


async def test_a_thread_of_a_trio_program_calls_into_its_node() -> None:
    async with Node("n", supervisor(child("sum", Sum))) as node:
        ref = node.ref("sum")
        assert await trio.to_thread.run_sync(node.call_from_thread, ref.ask, Add(4)) == 4
        await trio.to_thread.run_sync(node.call_from_thread, ref.tell, Add(1))
        assert await ref.ask(Add(0)) == 5


def test_a_node_that_does_not_run_refuses_calls() -> None:
    with pytest.raises(NodeError, match="does not run"):
        Node("n").call_from_thread(print)


async def test_a_tell_from_another_thread_is_refused_and_harms_nobody() -> None:
    async with Node("n", supervisor(child("sum", Sum))) as node:
        ref = node.ref("sum")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(NodeError, match="call_from_thread"):
            await trio.to_thread.run_sync(ref.tell, Add(1))
        assert await ref.ask(Add(1)) in (1, 2)
