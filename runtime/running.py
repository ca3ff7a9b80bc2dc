"""A node for scripts that are not async: it runs in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import trio

from schedule_zero.runtime.message import Request
from schedule_zero.runtime.ref import ActorRef

if TYPE_CHECKING:
    from schedule_zero.runtime.node import Node

T = TypeVar("T")


class RunningNode:
    """The synchronous side of a node that runs in another thread; any thread may use it."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def ref(self, path: str) -> ActorRef:
        """The actor at a path. Raises `NoSuchActor`."""
        return self.node.call_from_thread(self.node.ref, path)

    def tell(self, target: str | ActorRef, message: object) -> None:
        """Send and go on."""
        self.node.call_from_thread(self._ref(target).tell, message)

    def ask(self, target: str | ActorRef, message: Request[T], timeout: float = 5.0) -> T:
        """Send a request and block until its reply; raises what `ActorRef.ask` raises."""
        return self.node.call_from_thread(self._ref(target).ask, message, timeout)

    def _ref(self, target: str | ActorRef) -> ActorRef:
        return target if isinstance(target, ActorRef) else self.ref(target)


@contextmanager
def running(node: Node) -> Iterator[RunningNode]:
    """Run a node in a thread for as long as the block runs.

    What the start raises is raised here; when the node fails meanwhile, leaving raises it.
    """
    started = threading.Event()
    stop: list[Callable[[], None]] = []
    failures: list[BaseException] = []

    async def main() -> None:
        token, ended = trio.lowlevel.current_trio_token(), trio.Event()
        async with node:
            stop.append(lambda: token.run_sync_soon(ended.set))
            started.set()
            await ended.wait()

    def thread() -> None:
        try:
            trio.run(main)
        except BaseException as error:  # it is raised in the other thread
            failures.append(error)
        finally:
            started.set()

    runner = threading.Thread(target=thread, name=f"node {node.name}")
    runner.start()
    started.wait()
    try:
        if not failures:
            yield RunningNode(node)
    finally:
        for end in stop:
            try:
                end()
            except trio.RunFinishedError:
                break
        runner.join()
    if failures:
        raise failures[0]
