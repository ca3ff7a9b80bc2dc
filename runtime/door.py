"""The door of a node: what it answers to other nodes itself, as actor number 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from schedule_zero.runtime.actor import Actor
from schedule_zero.runtime.children import StartChild
from schedule_zero.runtime.childspec import child
from schedule_zero.runtime.errors import MessageRefused, NoSuchActor, UnhandledMessage
from schedule_zero.runtime.message import Request, message
from schedule_zero.runtime.pending import Pending
from schedule_zero.runtime.ref import ActorRef

if TYPE_CHECKING:
    from schedule_zero.runtime.node import Node


@message(name="schedule_zero.Lookup")
class Lookup(Request[ActorRef]):
    """Which actor has this path?"""

    path: str


@message(name="schedule_zero.Spawn")
class Spawn(Request[ActorRef]):
    """Start an actor named `child` under the supervisor at `under`.

    `actor` is the name under which the node offers a class.
    """

    under: str
    actor: str
    child: str
    args: list[Any] = attrs.field(factory=list)
    kwargs: dict[str, Any] = attrs.field(factory=dict)


@message(name="schedule_zero.Sessions")
class WhichSessions(Request[dict[str, int]]):
    """With which nodes has this one a session, and what are their incarnations?"""


class Door:
    """Answers for a node. `offers` are the actor classes that others may start, by name."""

    def __init__(self, node: Node, offers: Mapping[str, type[Actor]]) -> None:
        self._node = node
        self._offers = dict(offers)

    def knock(self, message: object, pending: Pending) -> None:
        """Answer a message."""
        try:
            match message:
                case Lookup():
                    pending.resolve(self._node.ref(message.path))
                case Spawn():
                    self._spawn(message, pending)
                case WhichSessions():
                    pending.resolve(self._node.network.connected)
                case _:
                    pending.reject(UnhandledMessage(self._node.name, message))
        except (NoSuchActor, MessageRefused) as error:
            pending.reject(error)

    def _spawn(self, order: Spawn, pending: Pending) -> None:
        actor = self._offers.get(order.actor)
        if actor is None:
            offered = ", ".join(sorted(self._offers)) or "nothing"
            why = (
                f"node {self._node.name!r} offers no {order.actor!r} to others; it offers {offered}"
            )
            raise MessageRefused(self._node.name, order, why)
        spec = child(order.child, actor, *order.args, **order.kwargs)
        supervisor = self._node.ref(order.under)._cell
        supervisor.deliver(StartChild(spec), pending)
