"""The simulated network: hosts, the paths between them, and what goes wrong there."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Protocol

import trio

from schedule_zero.transports.base import MAX_FRAME, Link, Transport
from schedule_zero.transports.errors import EndpointInUse
from schedule_zero.transports.simulated.conditions import CALM, Conditions
from schedule_zero.transports.simulated.end import FAREWELL, FRAME, End
from schedule_zero.transports.simulated.host import SimulatedTransport


class Random(Protocol):
    """Where chance comes from: a `random.Random`, a node's `random`."""

    def random(self) -> float:
        """A number from 0 up to 1."""


class SimulatedNetwork:
    """Carries frames between hosts of one process, as ZeroMQ over TCP would.

    All chance is drawn from `random`; time is trio's, so that with a `MockClock`, and trio's order
    seeded, a seed decides all that happens. Without further settings links are in order, lose
    nothing and take a millisecond; `set_conditions` makes them hostile.

    Example::

        network = SimulatedNetwork(Random(seed))
        async with network.transport("a") as a, network.transport("b") as b:
            await b.listen("sim://b")
            a.connect("sim://b")
            network.cut("a", "b")
    """

    def __init__(self, random: Random, conditions: Conditions = CALM) -> None:
        self.random = random
        self.counts: Counter[str] = Counter()
        """How many frames were `sent`, `lost`, `duplicated` and `reordered`."""
        self._conditions = conditions
        self._special: dict[tuple[str, str], Conditions] = {}
        self._hosts: dict[str, SimulatedTransport] = {}
        self._ends: dict[End, None] = {}
        self._groups: list[frozenset[str]] = []
        self._cuts: dict[tuple[str, str], None] = {}

    @asynccontextmanager
    async def transport(
        self, host: str, *, user: str = "", max_frame: int = MAX_FRAME
    ) -> AsyncIterator[Transport]:
        """The transport of a host, reached at `sim://HOST`, until the block ends or it crashes.

        `user` is what the links of others to it have as theirs, as if its key were known. Raises
        `EndpointInUse` when the host has one already.
        """
        if host in self._hosts:
            raise EndpointInUse(f"sim://{host}")
        self._hosts[host] = transport = SimulatedTransport(self, host, user, max_frame)
        try:
            async with transport.run():
                yield transport
        finally:
            self.remove(transport)

    # Faults

    def set_conditions(
        self, conditions: Conditions, source: str | None = None, target: str | None = None
    ) -> None:
        """What befalls frames from now on: everywhere, or from `source` to `target` alone."""
        if source is None or target is None:
            self._conditions = conditions
            self._special.clear()
        else:
            self._special[source, target] = conditions

    def partition(self, *groups: Iterable[str]) -> None:
        """Let hosts reach each other only within a group. Replaces the partition before.

        Groups may overlap: who is in both is a bridge. A host in no group reaches everyone.
        """
        self._groups = [frozenset(group) for group in groups]
        self._look()

    def cut(self, source: str, target: str) -> None:
        """Let nothing come from `source` to `target`; the other way stays open."""
        self._cuts[source, target] = None
        self._look()

    def heal(self) -> None:
        """End the partition and all cuts. Conditions stay."""
        self._groups = []
        self._cuts.clear()
        self._look()

    def crash(self, host: str, *, reset: bool = False) -> None:
        """Stop a host at once: its transport is dead, and another may be made in its place.

        The other ends of its links hear nothing more and go down after the heartbeat's timeout;
        with `reset` they are told at once, as when a process dies and its kernel lives. What was
        under way from it still arrives. Of the dead transport no event comes any more.
        """
        transport = self._hosts[host]
        transport.stop()
        for end in [end for end in self._ends if end.host is transport]:
            end.crash()
            if reset:
                end.peer.put(FAREWELL, b"connection reset", self.delay_to(end.peer))

    def is_cut(self, source: str, target: str) -> bool:
        """Whether nothing comes from one host to the other."""
        if (source, target) in self._cuts:
            return True
        mine = [group for group in self._groups if source in group]
        known = any(target in group for group in self._groups)
        return bool(mine) and known and not any(target in group for group in mine)

    # For hosts and ends

    async def connect(self, host: SimulatedTransport, endpoint: str, name: str) -> End | None:
        """One attempt, which takes as long as there and back; None if it fails."""
        there, back = self._conditions_of(host.name, name), self._conditions_of(name, host.name)
        await trio.sleep(there.delay + back.delay)
        target = self._hosts.get(name)
        if target is None or not target.listens or target.is_dead:
            return None
        if self.is_cut(host.name, name) or self.is_cut(name, host.name):
            return None
        near = End(host, Link(endpoint, user=target.user, endpoint=endpoint))
        far = End(target, Link(f"sim://{host.name}", user=host.user))
        near.peer, far.peer = far, near
        for end in (near, far):
            self._ends[end] = None
            end.host.adopt(end)
        near.come_up()
        return near

    def carry(self, end: End, frame: bytes) -> None:
        """Put a frame on its way to an end, by the conditions there."""
        conditions = self._conditions_of(end.peer.host.name, end.host.name)
        self.counts["sent"] += 1
        if self._happens(conditions.loss, "lost"):
            return
        for _ in range(2 if self._happens(conditions.duplication, "duplicated") else 1):
            later = None
            if self._happens(conditions.reordering, "reordered"):
                later = conditions.overtaken_within * self.random.random()
            end.put(FRAME, frame, self.delay_to(end), later=later)

    def delay_to(self, end: End) -> float:
        """How long something takes to an end now."""
        conditions = self._conditions_of(end.peer.host.name, end.host.name)
        if not conditions.jitter:
            return conditions.delay
        return conditions.delay + conditions.jitter * self.random.random()

    def forget(self, end: End) -> None:
        """An end is down."""
        self._ends.pop(end, None)

    def remove(self, host: SimulatedTransport) -> None:
        """A host is no more."""
        if self._hosts.get(host.name) is host:
            del self._hosts[host.name]

    def _look(self) -> None:
        """Tell each end whether it is heard of from now on."""
        for end in list(self._ends):
            if self.is_cut(end.peer.host.name, end.host.name):
                end.fall_silent()
            else:
                end.hear_again()

    def _happens(self, probability: float, what: str) -> bool:
        if probability and self.random.random() < probability:
            self.counts[what] += 1
            return True
        return False

    def _conditions_of(self, source: str, target: str) -> Conditions:
        return self._special.get((source, target), self._conditions)
