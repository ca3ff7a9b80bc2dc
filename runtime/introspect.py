"""Looking into a running node: what its actors do, and OTP's `sys` for one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import frozen

from schedule_zero.runtime.actor import Receiver, Receivers
from schedule_zero.runtime.control import Control
from schedule_zero.runtime.errors import ActorError
from schedule_zero.runtime.pending import Pending
from schedule_zero.runtime.ref import ActorRef
from schedule_zero.runtime.remote import RemoteActor
from schedule_zero.runtime.stream import Stream

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell
    from schedule_zero.runtime.node import Node


@frozen
class ActorInfo:
    """One actor at one instant.

    `mailbox` is how many messages wait, `handled` how many it has begun, `restarts` how often it
    was started again, `busy_for` for how many seconds its handler has been waiting (0 for none).
    """

    path: str
    actor_class: str
    state: str
    mailbox: int
    handled: int
    restarts: int
    last_failure: str
    busy_for: float


@frozen
class Traced:
    """A message that a traced actor is about to handle; `sender` is a path or empty."""

    path: str
    message: object
    sender: str


def snapshot(node: Node) -> list[ActorInfo]:
    """Every actor of a node, parents first, children in their order of start."""
    found: list[ActorInfo] = []
    _collect(node.root, "", node.clock.monotonic(), found)
    return found


def _collect(cell: Cell, path: str, now: float, found: list[ActorInfo]) -> None:
    found.append(
        ActorInfo(
            path,
            cell.spec.actor.__qualname__,
            "suspended" if cell.is_suspended else cell.state,
            len(cell.mailbox),
            cell.handled,
            max(cell.life - 1, 0),
            cell.last_failure,
            0.0 if cell.busy_since is None else now - cell.busy_since,
        )
    )
    for child in cell.children.values():
        _collect(child, f"{path}/{child.name}" if path else child.name, now, found)


def get_state(ref: ActorRef) -> dict[str, Any]:
    """The attributes of an actor's instance, as they are now (not copied deep).

    Raises `ActorError` when it has no instance.
    """
    actor = _cell(ref).actor or _cell(ref).suspended
    if actor is None:
        raise ActorError(f"actor {ref.path!r} has no instance: it is {_cell(ref).state}")
    return {name: value for name, value in vars(actor).items() if name != "context"}


async def suspend(ref: ActorRef) -> None:
    """Let an actor handle no message until `resume`; what comes waits in its mailbox.

    Returns when the message being handled is done. It can be stopped meanwhile. Raises `ActorError`
    when it does not run, or ends before it could be suspended.
    """
    cell, done = _cell(ref), Pending()

    def perform() -> None:
        if cell.actor is not None:
            cell.actor, cell.suspended = None, cell.actor
        done.resolve(None)

    if cell.state != "running":
        raise ActorError(f"actor {ref.path!r} is {cell.state}: only a running one is suspended")
    cell.post(Control(perform, done))
    await done.wait()


def resume(ref: ActorRef) -> None:
    """Let a suspended actor go on."""
    cell = _cell(ref)

    def perform() -> None:
        if cell.suspended is not None:
            cell.actor, cell.suspended = cell.suspended, None

    cell.post(Control(perform), first=True)


def trace(ref: ActorRef, listener: Callable[[Traced], object]) -> Callable[[], None]:
    """Call `listener` before each message that this actor handles; returns what ends it.

    It costs nothing when it is off. It outlives restarts. A listener that raises is logged.
    """
    cell = _cell(ref)
    if not isinstance(cell.receivers, _TracedReceivers):
        cell.receivers, cell.direct = _TracedReceivers(cell), frozenset()
    traced = cell.receivers
    unsubscribe = traced.listeners.subscribe(listener)

    def end() -> None:
        unsubscribe()
        if not traced.listeners and cell.receivers is traced:
            cell.receivers, cell.direct = cell.spec.actor.receivers, cell.spec.actor.direct

    return end


class _TracedReceivers(Receivers):
    """An actor's receivers, each of which tells the listeners first."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self.listeners: Stream[Traced] = Stream()

    def __missing__(self, message_class: type) -> Receiver:
        cell, receiver = self._cell, self._cell.spec.actor.receivers[message_class]

        def receive(actor: Any, message: object) -> object:
            origin = cell.origin
            sender = origin.sender if isinstance(origin, Pending) else origin
            self.listeners.publish(
                Traced(cell.path, message, "" if sender is None else sender.path)
            )
            return receiver(actor, message)

        return receive


def _cell(ref: ActorRef) -> Cell:
    cell = ref._cell
    if isinstance(cell, RemoteActor):
        raise ActorError(f"actor {ref.path!r} lives on another node: look at it there")
    return cell
