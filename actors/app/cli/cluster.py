"""`schedule-zero cluster`: several nodes on this machine, as supervised processes."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import trio
from attrs import frozen
from cyclopts import Parameter
from rich.console import Console
from rich.live import Live
from rich.tree import Tree

from schedule_zero.runtime import (
    Backoff,
    DeliveryError,
    Node,
    NodeInfo,
    NodeProcess,
    NoSuchActor,
    Restarted,
    WhichNode,
    WhichSessions,
    child,
    serve,
    supervisor,
)

_EVERY = 0.5
_PATIENCE = 0.4


def cluster(
    count: Annotated[int, Parameter(validator=lambda _, count: _check_count(count))],
    *modules: str,
    data: Path = Path("var/cluster"),
    port: int = 7401,
    database: str | None = None,
) -> int:
    """Run several nodes on this machine, each in a process of its own, until Ctrl-C.

    They have sessions with each other, and each a page. A node that dies is started again.

    Example: schedule-zero cluster 3 examples

    Parameters
    ----------
    count
        How many nodes.
    modules
        Modules or packages that define Handler classes.
    data
        Folder for the nodes' own folders.
    port
        The first node listens on this port, the others on those that follow.
    database
        One database for all; otherwise each node has its own, and fires all schedules itself.
    """
    logging.basicConfig(level="ERROR", format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    members = [Member(f"n{number + 1}", data, port + number) for number in range(count)]
    specs = [
        child(
            member.name, NodeProcess, member.program(modules, members, database), quiet=True
        ).options(shutdown=20.0)
        for member in members
    ]
    node = Node(
        "cluster",
        supervisor(*specs, max_restarts=10, within=60.0, backoff=Backoff(maximum=10.0)),
        peers=[member.endpoint for member in members],
    )
    return trio.run(_run, node, members)


@frozen
class Member:
    """One node of the cluster."""

    name: str
    data: Path
    port: int

    @property
    def endpoint(self) -> str:
        """Where the others find it."""
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        """Where its database is."""
        return self.data / self.name

    @property
    def url(self) -> str:
        """Its page, with the token; empty while it has none."""
        try:
            facts = json.loads((self.folder / f"{self.name}.json").read_text())
        except (OSError, ValueError):
            return ""
        return f"{facts['url']}?token={facts['token']}"

    def program(
        self, modules: Sequence[str], members: Iterable[Member], database: str | None
    ) -> list[str]:
        """The command line that runs it."""
        options = ["--name", self.name, "--data", str(self.folder), "--port", "0"]
        options += ["--listen", self.endpoint, "--log-level", "error"]
        for other in members:
            if other is not self:
                options += ["--peer", other.endpoint]
        if database is not None:
            options += ["--database", database]
        return [sys.executable, "-m", "schedule_zero.actors.app", "run", *modules, *options]


@frozen
class Seen:
    """What is known of a member at one moment."""

    member: Member
    info: NodeInfo | None
    sessions: tuple[str, ...]
    restarts: int

    @property
    def line(self) -> str:
        """As people read it."""
        if self.info is None:
            return f"{self.member.name}  does not run  restarts {self.restarts}"
        sees = ", ".join(self.sessions) or "nobody"
        return (
            f"{self.member.name}  pid {self.info.pid}  restarts {self.restarts}  "
            f"{self.member.endpoint}  sees {sees}  {self.member.url}"
        )


async def _run(node: Node, members: Sequence[Member]) -> int:
    restarts: Counter[str] = Counter()

    def count(event: Restarted) -> None:
        restarts[event.path] += 1

    node.events.subscribe(count)
    async with trio.open_nursery() as nursery:

        async def show() -> None:
            await _show(node, members, restarts)

        code = await serve(node, lambda: nursery.start_soon(show))
        nursery.cancel_scope.cancel()
    if code == 0:
        print("stopped")
    return code


async def _show(node: Node, members: Sequence[Member], restarts: Counter[str]) -> None:
    """Draw the cluster as it is; without a terminal, print what changes."""
    console = Console()
    if not console.is_terminal:
        printed: list[str] = []
        while True:
            lines = [seen.line for seen in await _look(node, members, restarts)]
            for line in lines:
                if line not in printed:
                    print(line, flush=True)
            printed = lines
            await trio.sleep(_EVERY)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            tree = Tree("cluster")
            for line in [seen.line for seen in await _look(node, members, restarts)]:
                tree.add(line)
            live.update(tree, refresh=True)
            await trio.sleep(_EVERY)


async def _look(node: Node, members: Sequence[Member], restarts: Counter[str]) -> list[Seen]:
    return [
        Seen(member, *await _ask(node, member.name), restarts[member.name]) for member in members
    ]


async def _ask(node: Node, name: str) -> tuple[NodeInfo | None, tuple[str, ...]]:
    try:
        info = await node.ref(name).ask(WhichNode(), timeout=_PATIENCE)
        sessions = await node.network.at_door(WhichSessions(), name, _PATIENCE)
    except (DeliveryError, NoSuchActor):
        return None, ()
    return info, tuple(sorted(sessions.keys() - {node.name}))


def _check_count(count: int) -> None:
    if not 1 <= count <= 64:
        raise ValueError(f"{count} nodes: expected 1 to 64")
