"""What Web asks the other components, with a time limit, and who answers for what fails."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

import trio

from schedule_zero.actors.errors import BadCall
from schedule_zero.actors.executor.messages import Call
from schedule_zero.actors.registry.messages import GetListing, Listing
from schedule_zero.actors.store.run import Run
from schedule_zero.actors.store.schedule import Schedule
from schedule_zero.actors.web.errors import NotFound, Unavailable, WrongRequest
from schedule_zero.actors.web.reads import Reads
from schedule_zero.actors.web.views import ActorView, Status
from schedule_zero.runtime import Node, NodeError, NotDelivered, Request, Unanswered

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that a component has for an answer that is not a run."""


class Desk:
    """Answers the routes' questions about one node.

    Raises `Unavailable` when a component does not answer in time.
    """

    def __init__(self, node: Node, reads: Reads) -> None:
        self.node = node
        self._reads = reads

    async def schedules(self) -> list[Schedule]:
        """All schedules, by id."""
        found: list[Schedule] = await self._read("list_schedules")
        return found

    async def runs(self, limit: int, **filters: str | None) -> list[Run]:
        """The newest runs that match the filters that are given."""
        given = {name: value for name, value in filters.items() if value}
        found: list[Run] = await self._read("list_runs", limit=limit, **given)
        return found

    async def run(self, run_id: UUID) -> Run:
        """One run. Raises `NotFound`."""
        found: Run | None = await self._read("get_run", run_id)
        if found is None:
            raise NotFound(f"no run {run_id}")
        return found

    async def counts(self) -> dict[str, int]:
        """How many runs are in each state."""
        found: dict[str, int] = await self._read("count_by_state")
        return found

    async def listing(self) -> Listing:
        """All handlers."""
        return await self._ask(self._reads.registry, GetListing(), PATIENCE)

    async def call(
        self, handler: str, method: str, params: Mapping[str, Any], timeout: float | None
    ) -> Run:
        """Run a method now, through the ledger, and wait for its end.

        Raises `NotFound` for an unknown handler, `WrongRequest` for an unknown method.
        """
        entries = {entry.handler: entry for entry in (await self.listing()).entries}
        if handler not in entries:
            raise NotFound(f"no handler {handler!r}; known are: {_names(entries)}")
        methods = {each.name: each for each in entries[handler].methods}
        if method not in methods:
            raise WrongRequest(
                f"handler {handler!r} has no method {method!r}; it has: {_names(methods)}"
            )
        call = Call(handler, method, params, timeout)
        try:
            return await self._ask(self._reads.executor, call, math.inf)
        except BadCall as error:  # the call itself was checked above: the executor is stopping
            raise Unavailable(str(error)) from error

    async def status(self) -> Status:
        """What the node is doing."""
        now = self.node.clock.now()
        return Status(
            node=self.node.name,
            owner=self._reads.owner,
            incarnation=self._reads.incarnation,
            started_at=self._reads.started_at,
            now=now,
            uptime=max(0.0, (now - self._reads.started_at).total_seconds()),
            runs=await self.counts(),
            dead_letters=dict(self.node.dead_letters.counts),
            tree=self.tree(),
        )

    def tree(self) -> list[ActorView]:
        """The node's actors, the root first, each above its children."""
        return [
            {
                "path": cell.path or "/",
                "class": cell.spec.actor.__name__,
                "state": cell.state,
                "mailbox": len(cell.mailbox),
                "handled": cell.handled,
                "restarts": max(0, cell.life - 1),
            }
            for cell in self.node.root.tree()
        ]

    async def _read(self, method: str, *args: Any, **kwargs: Any) -> Any:
        with trio.move_on_after(PATIENCE):
            return await self._reads.store(method, *args, **kwargs)
        raise Unavailable(f"the ledger's database did not answer within {PATIENCE:g} s")

    async def _ask(self, path: str, request: Request[T], timeout: float) -> T:
        try:
            return await self.node.ref(path).ask(request, timeout)
        except (NotDelivered, Unanswered, NodeError) as error:
            raise Unavailable(f"the {path} is not there now: {error}") from error


def _names(known: Mapping[str, object]) -> str:
    return ", ".join(known) or "none"
