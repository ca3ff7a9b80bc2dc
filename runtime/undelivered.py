"""What becomes of a message that was not handled to its end: its asker or the dead letters know."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any

from schedule_zero.runtime.control import Control
from schedule_zero.runtime.errors import ActorFailed, ActorStopped, MailboxFull, UnhandledMessage
from schedule_zero.runtime.pending import Pending
from schedule_zero.runtime.reason import text_of

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell

_logger = logging.getLogger("schedule_zero.actors")


def refuse(cell: Cell, message: object, origin: Any) -> None:
    """The actor is stopped, or its mailbox is full."""
    if origin.__class__ is Pending:
        if cell.is_stopped:
            origin.reject(ActorStopped(cell.path, message))
        else:
            origin.reject(MailboxFull(cell.path, message, cell.capacity))
    else:
        _bury(cell, message, "stopped" if cell.is_stopped else "mailbox_full", origin)


def dropped(cell: Cell, message: object, origin: Any) -> None:
    """The mailbox had no room, and its rule chose this message to go."""
    if origin.__class__ is Pending:
        origin.reject(MailboxFull(cell.path, message, cell.capacity))
    else:
        _bury(cell, message, "dropped", origin)


def unhandled(cell: Cell, message: object, origin: Any) -> None:
    """The actor has no receiver for it."""
    if origin.__class__ is Pending:
        origin.reject(UnhandledMessage(cell.path, message))
    else:
        _bury(cell, message, "unhandled", origin)


def failed(cell: Cell, error: Exception, message: object, origin: Any) -> None:
    """The actor raised while handling it; `None` for a failure beside any message."""
    text = f"{type(error).__name__}: {text_of(error)}"
    cell.last_failure = text
    _logger.error("actor %r failed: %s", cell.path, text, exc_info=error)
    if origin.__class__ is Pending:
        name = type(error).__qualname__
        trace = "".join(traceback.format_exception(error))
        origin.reject(ActorFailed(cell.path, message, name, text_of(error), trace))
    if message is not None:
        _bury(cell, message, "failed", origin, text)


def unanswered(cell: Cell) -> None:
    """The actor has ended and owes answers that it took over with `reply_later`."""
    owed, cell.owed = cell.owed, None
    for pending in owed or ():
        pending.reject(
            ActorFailed(cell.path, None, "ActorEnded", "it ended before it had answered", "")
        )


def interrupted(cell: Cell, message: object, origin: Any) -> None:
    """The handler was cancelled under the actor (killed, or the node is going down)."""
    if origin.__class__ is Pending:
        origin.reject(ActorFailed(cell.path, message, "Killed", "killed while handling", ""))
    if not isinstance(message, Control) and not cell.spec.actor.supervises:
        _bury(cell, message, "failed", origin, "killed")


def _bury(cell: Cell, message: object, reason: Any, origin: Any, failure: str = "") -> None:
    sender = origin.sender if origin.__class__ is Pending else origin
    path = "" if sender is None else sender.path
    cell.node.dead_letters.record(cell.path, message, reason, path, failure)
