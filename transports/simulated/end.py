"""One of the two ends of a simulated link.

The rules that it keeps:

1. What arrives: first the hello (the link is up here), then frames, then the farewell (it is down).
2. While the path here is cut nothing arrives, as with TCP, which sends again: after a short cut all
   comes late, after a long one the end has gone down and what was under way is lost.
3. An end that hears nothing for the heartbeat's timeout goes down and bids farewell to the other.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import trio
from attrs import define, field

from schedule_zero.transports.base import Link, LinkDown, LinkUp
from schedule_zero.transports.simulated.conditions import CAPACITY, HEARTBEAT_TIMEOUT
from schedule_zero.transports.turns import TURN, Batch

if TYPE_CHECKING:
    from schedule_zero.transports.simulated.host import SimulatedTransport

SILENCE = f"heard nothing for {HEARTBEAT_TIMEOUT:g} s"
HELLO, FRAME, FAREWELL = range(3)
Item = tuple[float, int, int, bytes]
"""When it arrives, its number, what it is, and the frame or the farewell's reason."""


@define(eq=False)
class End:
    """An end of a link: what is under way to it, and what has arrived and was not taken yet."""

    host: SimulatedTransport
    link: Link
    peer: End = field(init=False)
    reason: str = ""
    """Why it is down; empty while it is not."""
    finished: trio.Event = field(factory=trio.Event)
    """Set when its last event was given, or when it was dropped."""
    _silent_since: float | None = None
    _is_up: bool = False
    _is_told: bool = False
    _is_dropped: bool = False
    _under_way: list[Item] = field(factory=list)
    _number: int = 0
    _in_order: float = 0.0
    _latest: float = 0.0
    _arrived: deque[bytes] = field(factory=deque)
    _room: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    # What the other end does

    async def send(self, frame: bytes) -> bool:
        """Put a frame on its way to here, waiting while too many are. False if the link ended."""
        while self._is_full or self._room:
            await self._room.park()
            if not self._is_full or self.peer.reason:
                break
        if self.peer.reason:
            self._room.unpark()
            return False
        self.host.network.carry(self, frame)
        if not self._is_full:
            self._room.unpark()
        return True

    def lose(self) -> None:
        """Let all who wait for room find that the link has ended."""
        self._room.unpark_all()

    def put(self, what: int, content: bytes, delay: float, *, later: float | None = None) -> None:
        """Put something on its way; in order, or, given `later`, so many seconds after its turn."""
        due = max(trio.current_time() + delay, self._in_order)
        if later is None:
            self._in_order = due
        else:
            due += later
        self._latest = max(self._latest, due)
        if what == FAREWELL:
            due = self._latest
        self._number += 1
        heappush(self._under_way, (due, self._number, what, content))
        self.host.agenda.add(due, self.arrive)

    # What the network does

    def arrive(self) -> None:
        """Take in what is due, if the path here is open."""
        if self._silent_since is not None or self.reason:
            return
        now = trio.current_time()
        while self._under_way and self._under_way[0][0] <= now and not self.reason:
            _, _, what, content = heappop(self._under_way)
            if what == HELLO:
                self._is_up = True
            elif what == FAREWELL:
                self.go_down(content.decode())
            elif len(content) > self.host.max_frame:
                self.host.refused["too_large"] += 1
                self.end(f"a frame of {len(content)} bytes came, over the limit")
            else:
                self._arrived.append(content)
        if self._is_up and not self._is_dropped:
            self.host.turns.note(self)

    def fall_silent(self) -> None:
        """The path here was cut."""
        if self._silent_since is None:
            self._silent_since = since = trio.current_time()

            def check() -> None:
                if self._silent_since == since:
                    self.end(SILENCE)

            self.host.agenda.add(since + HEARTBEAT_TIMEOUT, check)

    def hear_again(self) -> None:
        """The path here was healed."""
        if self._silent_since is not None:
            self._silent_since = None
            delay = self.host.network.delay_to(self)
            self.host.agenda.add(trio.current_time() + delay, self.arrive)

    # What this end does

    def come_up(self) -> None:
        """This end is the one that was asked for: it is up at once, and says hello."""
        self._is_up = True
        self.host.turns.note(self)
        self.peer.put(HELLO, b"", self.host.network.delay_to(self.peer))

    def end(self, reason: str) -> None:
        """Go down and bid farewell, after all frames that were sent."""
        if not self.reason:
            self.go_down(reason)
            said = f"ended by the other side: {reason}"
            self.peer.put(FAREWELL, said.encode(), self.host.network.delay_to(self.peer))

    def go_down(self, reason: str) -> None:
        """Go down without a word."""
        if self.reason:
            return
        self.reason = reason
        self._under_way.clear()
        self.peer.lose()
        self.host.network.forget(self)
        if self._is_up and not self._is_dropped:
            self.host.turns.note(self)
        else:
            self.finish()

    def drop(self, reason: str) -> None:
        """Go down, and give no event any more."""
        self._is_dropped = True
        self._arrived.clear()
        self.host.turns.forget(self)
        self.end(reason)
        self.finish()

    def crash(self) -> None:
        """This end's host has crashed: the other end hears nothing more."""
        self._is_dropped = True
        self.host.turns.forget(self)
        self.go_down("this host has crashed")
        timeout = trio.current_time() + HEARTBEAT_TIMEOUT
        self.peer.host.agenda.add(timeout, lambda: self.peer.end(SILENCE))

    def finish(self) -> None:
        """All is said."""
        self.host.forget(self)
        self.finished.set()

    def take(self, batch: Batch) -> bool:
        """Give what has happened: up, frames, down."""
        if not self._is_told and not batch.is_full:
            self._is_told = True
            batch.add(LinkUp(self.link))
        for _ in range(TURN):
            if batch.is_full:
                return True
            if not self._arrived:
                break
            batch.add_frame(self.link, self._arrived.popleft())
            self._room.unpark()
        if self._arrived:
            return True
        if self.reason:
            batch.add(LinkDown(self.link, self.reason))
            self.finish()
        return False

    @property
    def _is_full(self) -> bool:
        return len(self._under_way) + len(self._arrived) >= CAPACITY
