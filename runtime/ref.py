"""Refs: the only way to reach an actor."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar, cast

import trio

from schedule_zero.runtime.errors import AskTimeout
from schedule_zero.runtime.mailbox import send
from schedule_zero.runtime.message import Request
from schedule_zero.runtime.pending import Pending

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell
    from schedule_zero.runtime.remote import Target

T = TypeVar("T")

current_cell: ContextVar[Cell | None] = ContextVar("schedule_zero.current_cell", default=None)
"""The actor whose code is running, or `None` outside actors."""


class ActorRef:
    """Reaches one actor through all its restarts; equal to another ref of the same actor."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Target) -> None:
        self._cell = cell

    @property
    def path(self) -> str:
        """Where the actor stands in its node's tree, such as `"handlers/backup"`.

        That of an actor of another node ends with the node's name: `"registry@b"`.
        """
        return self._cell.path

    @property
    def is_stopped(self) -> bool:
        """Whether the actor has ended for good."""
        return self._cell.is_stopped

    def tell(self, message: object) -> None:
        """Send and go on. Never waits and never raises for a dead or full target.

        What cannot be delivered becomes a dead letter.
        """
        cell = self._cell
        mailbox = cell.mailbox
        if len(mailbox) < cell.capacity:
            mailbox.append((message, current_cell.get()))
            if not cell.phase:
                cell.node.dispatcher.schedule(cell)
        else:
            cell.deliver(message, current_cell.get())

    async def ask(self, message: Request[T], timeout: float = 5.0) -> T:
        """Send a request and wait for its reply.

        `timeout` is in seconds. Raises `AskTimeout`; `ActorFailed` at once when the handler
        raises; `ActorStopped`, `MailboxFull` and `UnhandledMessage` at once when it was not
        handled. Where the actor is idle and its handler is a plain `def`, the handler runs at
        once in the asking task: then there is no switch, and not always a checkpoint.

        Example::

            balance = await ref.ask(Balance("savings"), timeout=1.0)
        """
        cell = self._cell
        dispatcher = cell.node.dispatcher
        if dispatcher.owes_checkpoint():
            await trio.lowlevel.checkpoint()  # before: an answer that is in is never lost
        pending = Pending(current_cell.get())
        if not cell.phase and message.__class__ in cell.direct:
            dispatcher.handle_now(cell, message, pending)
        else:
            cell.deliver(message, pending)
        if pending.is_done:
            return cast("T", pending.result())
        timer = cell.node.timers.after(
            timeout, lambda: pending.reject(AskTimeout(cell.path, message, timeout))
        )
        try:
            return cast("T", await pending.wait())
        finally:
            timer.cancel()

    async def send(self, message: object) -> None:
        """Send, waiting for room in the mailbox. Raises `ActorStopped` when there will be none.

        Who waits is let in in order. Cancelled while it waits, the message is not sent; to an actor
        of another node it may have been. Raises `NodeUnreachable` as well for one of those.
        """
        target = self._cell
        if target.is_remote:
            await target.send(message, current_cell.get())
        else:
            await send(target, message, current_cell.get())

    def stop(self) -> None:
        """Ask the actor to stop after its current message.

        What waits goes to the dead letters. A permanent child is started again by its supervisor,
        as after any other end, and what waits is then handled by its next life.
        """
        self._cell.stop()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorRef) and other._cell is self._cell

    def __hash__(self) -> int:
        return hash(id(self._cell))

    def __repr__(self) -> str:
        return f"<ActorRef {self._cell.path}>"
