"""Nodes that the tests serve in processes of their own."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import trio

from schedule_zero.runtime import (
    Actor,
    Network,
    Node,
    NodeProcess,
    Pending,
    Request,
    child,
    handles,
    message,
    node_program,
    supervisor,
)

HERE = "tests.runtime.served"


@message(name="tests.served.Note")
class Note:
    """Count this."""


@message(name="tests.served.Hold")
class Hold(Request[None]):
    """Answer never."""


@message(name="tests.served.Notes")
class Notes(Request[int]):
    """How many were counted?"""


def plain(name: str) -> Node:
    """A node with nothing on it."""
    return Node(name)


class Stubborn(Actor):
    """Does not end when it is told to."""

    async def on_stop(self, reason: object) -> None:
        await trio.sleep_forever()


def stubborn(name: str) -> Node:
    """A node that does not stop."""
    return Node(name, supervisor(child("stubborn", Stubborn).options(shutdown="infinity")))


def broken(name: str) -> Node:
    """A node that does not start."""
    sys.exit(7)


def parent(name: str, file: str) -> Node:
    """A node with a node, whose process id it writes to a file."""
    return Node(
        name,
        supervisor(
            child("below", NodeProcess, node_program(f"{HERE}:noting", "below", file)),
        ),
    )


def noting(name: str, file: str) -> Node:
    """A node whose process id is in a file."""
    Path(file).write_text(str(os.getpid()))
    return Node(name)


def dying(name: str) -> Node:
    """A node whose process is killed soon."""

    class Dies(Actor):
        async def on_start(self) -> None:
            self.context.start_task(self.die)

        async def die(self) -> None:
            await trio.sleep(0.05)
            os.kill(os.getpid(), signal.SIGKILL)

    return Node(name, supervisor(child("dies", Dies)))


class Holder(Actor):
    """Counts what it is told, and keeps who asks waiting."""

    def __init__(self) -> None:
        self.count = 0
        self.waiting: list[Pending] = []

    @handles
    def note(self, msg: Note) -> None:
        self.count += 1

    @handles
    def hold(self, msg: Hold) -> None:
        self.waiting.append(self.context.reply_later())

    @handles
    def report(self, msg: Notes) -> int:
        return self.count


def holding(name: str, endpoint: str) -> Node:
    """A node with a `Holder`, which others reach at `endpoint`."""
    network = Network(interval=0.1, timeout=1.0)
    return Node(name, supervisor(child("holder", Holder)), listen=[endpoint], network=network)
