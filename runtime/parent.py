"""The line between a process and the `NodeProcess` that has started it.

It is one end of a socket pair, whose number stands in the environment. Over it the process says
once that its node runs; that it closes means, to either side, that the other is gone.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

import trio

from schedule_zero.runtime.message import message

if TYPE_CHECKING:
    from schedule_zero.runtime.node import Node

VARIABLE = "SCHEDULE_ZERO_PARENT"


@message
class NodeInfo:
    """A node that runs in a process of its own."""

    name: str
    incarnation: int
    pid: int
    endpoints: tuple[str, ...] = ()


def has_parent() -> bool:
    """Whether a `NodeProcess` has started this process."""
    return VARIABLE in os.environ


async def attend(node: Node) -> None:
    """Say to the parent that the node runs, and stop the node when the parent is gone.

    Returns at once in a process that no `NodeProcess` has started.
    """
    number = os.environ.get(VARIABLE)
    if number is None:
        return
    line = trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=int(number))))
    async with line:
        await line.send_all(_to_line(node))
        while await line.receive_some():
            pass
    node.stop()


def _to_line(node: Node) -> bytes:
    endpoints = node.network.endpoints if node.has_network else []
    facts = {
        "name": node.name,
        "incarnation": node.incarnation,
        "pid": os.getpid(),
        "endpoints": endpoints,
    }
    return json.dumps(facts).encode() + b"\n"


def read_line(line: bytes) -> NodeInfo:
    """What the process has said. Raises `ValueError` for anything else."""
    try:
        facts = json.loads(line)
        return NodeInfo(
            str(facts["name"]),
            int(facts["incarnation"]),
            int(facts["pid"]),
            tuple(map(str, facts["endpoints"])),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not what a node says: {line[:100]!r}") from error
