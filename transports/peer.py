"""A link that another has made, as the ROUTER knows it: a routing id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

from schedule_zero.transports.base import Link
from schedule_zero.transports.connections import Connection

if TYPE_CHECKING:
    from schedule_zero.transports.door import Door


@define(eq=False)
class Peer:
    """This side's end of a link that a peer has made."""

    door: Door
    link: Link
    routing_id: bytes
    key: str
    connection: Connection | None
    """As far as is known."""
    reason: str = ""
    """Why it is down; empty while it is not."""
    is_silent: bool = False
    """Whether no event of it comes any more: its last one was given, or it was dropped."""
    is_refused: bool = False
    """Whether this side has ended it: what it still sends is ignored."""
    is_gone: bool = False
    """Whether its connection is no more."""
    is_suspect: bool = False
    """Whether it is being found out if its connection is no more."""
    due: int = 0
    """At which count of messages read all that it had sent before it went has been read."""

    def try_send(self, frame: bytes) -> bool:
        """Send if there is room at once. Raises `LinkLost`."""
        return self.door.try_send(self, frame)

    async def send(self, frame: bytes) -> None:
        """Send, waiting for room. Raises `LinkLost`."""
        await self.door.send(self, frame)

    def drop(self, reason: str) -> None:
        """Give no event of it any more, tell it so, and ignore what it still sends."""
        self.is_silent = True
        self.door.end(self, reason)

    def check_key(self) -> None:
        """End it if its key is not allowed any more."""
        self.door.check_key(self)
