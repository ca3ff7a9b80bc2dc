"""What an actor may do: its own ref, children, timers, tasks and monitors."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from schedule_zero.runtime.childspec import ChildSpec, child
from schedule_zero.runtime.links import link, unlink
from schedule_zero.runtime.mailbox import stash, unstash
from schedule_zero.runtime.monitors import demonitor, monitor
from schedule_zero.runtime.pending import Pending

if TYPE_CHECKING:
    from schedule_zero.runtime.actor import Actor
    from schedule_zero.runtime.cell import Cell
    from schedule_zero.runtime.node import Node
    from schedule_zero.runtime.ref import ActorRef
    from schedule_zero.runtime.timers import Timer

_OWED_BEFORE_SWEEP = 64


class ActorContext:
    """An actor's view of its node, as `self.context`. Use it from the actor's own code only."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    @property
    def ref(self) -> ActorRef:
        """This actor's own ref."""
        return self._cell.ref

    @property
    def node(self) -> Node:
        """The node that this actor lives on."""
        return self._cell.node

    @property
    def parent(self) -> ActorRef | None:
        """The actor above; `None` for the root."""
        return None if self._cell.parent is None else self._cell.parent.ref

    @property
    def sender(self) -> ActorRef | None:
        """Who sent the message being handled; `None` when no actor did."""
        origin = self._cell.origin
        sender = origin.sender if origin.__class__ is Pending else origin
        return None if sender is None else sender.ref

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose lines carry this actor's path as `actor`."""
        logger = logging.getLogger("schedule_zero.actors")
        return logging.LoggerAdapter(logger, {"actor": self._cell.path})

    @property
    def timers(self) -> ActorTimers:
        """Messages to oneself, later."""
        return ActorTimers(self._cell)

    def spawn(self, what: type[Actor] | ChildSpec, /, *args: Any, **kwargs: Any) -> ActorRef:
        """Start a child: a class with its constructor's arguments, or a `child(...)` spec.

        The child stops with this actor. A child that fails ends and is not started again; put
        children that shall be under a `Supervisor`. A start hook that waits goes on after this
        has returned. Raises `StartFailed` and `NameTaken`.

        Example::

            worker = self.context.spawn(Worker, queue="mail")
        """
        return spawn(self._cell, what, args, kwargs).ref

    def monitor(self, ref: ActorRef) -> None:
        """Receive `Down` when that actor ends for good; at once if it has ended."""
        monitor(self._cell, ref._cell)

    def demonitor(self, ref: ActorRef) -> None:
        """Stop monitoring that actor."""
        demonitor(self._cell, ref._cell)

    def start_task(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run an async function beside the messages, in a trio task that ends with this actor.

        If it raises, the actor fails.
        """
        self._cell.start_task(function, *args)

    def link(self, ref: ActorRef) -> None:
        """Share that actor's fate, and let it share this one's: a failure fails both."""
        link(self._cell, ref._cell)

    def unlink(self, ref: ActorRef) -> None:
        """Part from a linked actor."""
        unlink(self._cell, ref._cell)

    def stash(self, message: object) -> None:
        """Put the message being handled aside until `unstash`. Raises `StashFull`.

        An ask stays open meanwhile. What is stashed when the actor ends goes back to its mailbox.
        """
        stash(self._cell, message)

    def unstash(self) -> None:
        """Handle what was stashed next, in its order, before what waits."""
        unstash(self._cell)

    def reply_later(self) -> Pending:
        """Take over the answer to the ask being handled: call its `resolve` or `reject` later.

        For a message that was told, the answer goes nowhere. An answer that is still owed when
        the actor ends is rejected with `ActorFailed`.
        """
        cell = self._cell
        origin, cell.origin = cell.origin, None
        if origin.__class__ is not Pending:
            return Pending()
        if cell.owed is None or len(cell.owed) > _OWED_BEFORE_SWEEP:
            cell.owed = {owed: None for owed in cell.owed or () if not owed.is_done}
        cell.owed[origin] = None
        return origin

    def stop(self) -> None:
        """End after the current message."""
        self._cell.stop()


class ActorTimers:
    """Messages from an actor to itself, later; gone when it ends or is restarted."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def after(self, delay: float, message: object) -> Timer:
        """Tell oneself `message` in `delay` seconds. `cancel()` the timer to prevent it."""
        return self._add(self._cell.node.clock.monotonic() + delay, message, None)

    def every(self, interval: float, message: object) -> Timer:
        """Tell oneself `message` each `interval` seconds, first in one interval.

        Instants that have passed meanwhile are skipped, not made up for.
        """
        if not interval > 0:
            raise ValueError(f"interval={interval!r}: expected more than 0 seconds")
        return self._add(self._cell.node.clock.monotonic() + interval, message, interval)

    def _add(self, deadline: float, message: object, interval: float | None) -> Timer:
        cell = self._cell
        owned: dict[Timer, None] = cell.timers if cell.timers is not None else {}
        cell.timers = owned

        def fire() -> None:
            nonlocal deadline
            if interval is None:
                owned.pop(timer, None)
            else:
                now = cell.node.clock.monotonic()
                deadline += interval * max(1, int((now - deadline) / interval) + 1)
                cell.node.timers.again(timer, deadline, fire)
            cell.deliver(message, None)

        timer = cell.node.timers.at(deadline, fire)
        owned[timer] = None
        return timer


def spawn(
    parent: Cell, what: type[Actor] | ChildSpec, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Cell:
    """Spawn from a spec, or from a class under a name that is made up."""
    if isinstance(what, ChildSpec):
        return parent.spawn(what)
    name = parent.node.new_name(what)
    if args or kwargs:
        return parent.spawn(child(name, what, *args, **kwargs))
    return parent.spawn(_bare_spec(what), name)


def _bare_spec(actor: type[Actor]) -> ChildSpec:
    """The spec of a class without arguments, made once a class."""
    spec = actor.bare_spec
    if spec is None or spec.actor is not actor:
        spec = actor.bare_spec = child(actor.__name__, actor).options(restart="temporary")
    return spec
