"""What goes through an actor's system lane beside messages: changes of its life."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from attrs import frozen

from schedule_zero.runtime.pending import Pending
from schedule_zero.runtime.reason import Reason

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell


@frozen
class Control:
    """A change of an actor's life, done in the actor's own turn.

    `done` is rejected when the actor ends before its turn comes.
    """

    perform: Callable[[], Awaitable[None] | None]
    done: Pending | None = None


@frozen
class Begun:
    """The coroutine that a `def` receiver has returned to an ask in place: it needs a runner."""

    coro: Coroutine[Any, Any, object]
    message: object
    origin: Any


@frozen
class ChildExited:
    """To a supervisor: life number `life` of this child has ended."""

    child: Cell
    life: int
    reason: Reason
