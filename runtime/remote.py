"""Remote actors: what a ref to an actor of another node holds in place of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from schedule_zero.runtime.mailbox import Sender
from schedule_zero.runtime.pending import Pending
from schedule_zero.runtime.reason import NOCONNECTION, NOPROC, Reason
from schedule_zero.runtime.ref import ActorRef
from schedule_zero.runtime.wire import Stop

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell
    from schedule_zero.runtime.node import Node
    from schedule_zero.runtime.peer import Peer

Target: TypeAlias = "Cell | RemoteActor"
"""What a ref may hold."""


class RemoteActor:
    """An actor of another node, by its number there; there is one of these for each.

    To `ActorRef` it looks like a cell that is never idle and never has room, so that every message
    comes to `deliver`.
    """

    __slots__ = (
        "__weakref__",
        "ended",
        "links",
        "node",
        "number",
        "peer",
        "place",
        "ref",
        "watchers",
    )

    is_remote: Literal[True] = True
    mailbox: Any = ()
    capacity: Literal[0] = 0
    phase: Literal[1] = 1
    direct: frozenset[type] = frozenset()

    def __init__(self, node: Node, peer: Peer, number: int, place: str) -> None:
        self.node = node
        self.peer = peer
        self.number = number
        self.place = place
        self.ref = ActorRef(self)
        self.ended: Reason | None = None
        self.watchers: dict[Any, None] | None = None
        self.links: dict[Any, None] | None = None

    @property
    def path(self) -> str:
        """Its path there and its node's name, such as `registry@b`."""
        return f"{self.place or f'#{self.number}'}@{self.peer.identity.name}"

    @property
    def is_stopped(self) -> bool:
        """Whether it is known to have ended for good, or its node's life has."""
        return self.ended is not None or self.peer.is_over

    @property
    def why_gone(self) -> Reason | None:
        """Why it cannot be watched or linked to; `None` when it can."""
        if self.ended is not None:
            return NOPROC
        return None if self.peer.is_connected else NOCONNECTION

    def deliver(self, message: object, origin: Any) -> None:
        """Send a message to it."""
        self.peer.deliver(self, message, origin)

    async def send(self, message: object, origin: Any) -> None:
        """Send a message and wait until its mailbox has taken it."""
        admitted = Pending(origin)
        self.peer.deliver(self, Sender(message, origin, admitted), origin)
        await admitted.wait()

    def stop(self) -> None:
        """Ask it to stop."""
        self.peer.say(Stop(self.number))
