"""Nodes that the tests serve in processes of their own."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import trio

from schedule_zero.runtime import Actor, Node, NodeProcess, child, node_program, supervisor

HERE = "tests.runtime.served"


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
