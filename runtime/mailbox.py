"""Mailboxes: how many messages wait, in which order, and what happens when there is no room.

A mailbox is a deque of `(message, origin)`, or a `PriorityMailbox` for an actor class that has a
`priority`. It is made at the actor's first message.
"""

from __future__ import annotations

import heapq
import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen

from schedule_zero.runtime import undelivered
from schedule_zero.runtime.errors import ActorStopped, StashFull
from schedule_zero.runtime.pending import Pending

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell

Mail = tuple[Any, Any]

_logger = logging.getLogger("schedule_zero.actors")


class Mailbox(Protocol):
    """What the dispatcher needs of a mailbox; a deque of mail is one."""

    def append(self, mail: Mail, /) -> None:
        """Put mail in its place."""

    def appendleft(self, mail: Mail, /) -> None:
        """Put mail before all other (of its priority)."""

    def popleft(self) -> Mail:
        """Take the next mail."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Mail]: ...


class PriorityMailbox:
    """The highest priority first; among equals the one that came first."""

    def __init__(self, priority: Callable[[Any], float]) -> None:
        self._priority = priority
        self._heap: list[tuple[float, int, Mail]] = []
        self._last = 0
        self._first = 0

    def append(self, mail: Mail, /) -> None:
        """Put mail behind all of its priority."""
        self._last += 1
        heapq.heappush(self._heap, (-self._urgency(mail), self._last, mail))

    def appendleft(self, mail: Mail, /) -> None:
        """Put mail before all of its priority."""
        self._first -= 1
        heapq.heappush(self._heap, (-self._urgency(mail), self._first, mail))

    def popleft(self) -> Mail:
        """Take the next mail."""
        return heapq.heappop(self._heap)[2]

    def drop(self) -> Mail:
        """Take out the oldest of the lowest priority."""
        least = max(entry[0] for entry in self._heap)
        entry = min(entry for entry in self._heap if entry[0] == least)
        self._heap.remove(entry)
        heapq.heapify(self._heap)
        return entry[2]

    def _urgency(self, mail: Mail) -> float:
        """What the class says; 0 when it cannot say, as `tell` never raises."""
        try:
            return float(self._priority(mail[0]))
        except Exception:
            _logger.exception("the priority of a %s failed", type(mail[0]).__name__)
            return 0.0

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[Mail]:
        return (entry[2] for entry in sorted(self._heap))


def make_mailbox(cell: Cell) -> Mailbox:
    """The mailbox of an actor's class."""
    priority = cell.spec.actor.priority
    return deque() if priority is None else PriorityMailbox(priority)


def overflow(cell: Cell, message: object, origin: Any) -> None:
    """There is no room: do as the child spec's `overflow` says."""
    if cell.is_stopped or cell.spec.overflow == "reject":
        undelivered.refuse(cell, message, origin)
    elif cell.spec.overflow == "drop_newest":
        undelivered.dropped(cell, message, origin)
    else:
        cell.mailbox.append((message, origin))
        mailbox = cell.mailbox
        oldest = mailbox.drop() if isinstance(mailbox, PriorityMailbox) else mailbox.popleft()
        undelivered.dropped(cell, *oldest)


@frozen
class Sender:
    """Someone who waits in `send` until there is room for a message."""

    message: object
    origin: Any
    admitted: Pending


async def send(cell: Cell, message: object, origin: Any) -> None:
    """Deliver when there is room. Raises `ActorStopped` when there will be none."""
    sender = Sender(message, origin, Pending())
    wait_in_line(cell, sender)
    await sender.admitted.wait()


def wait_in_line(cell: Cell, sender: Sender) -> None:
    """Deliver when there is room, now or later, and say so to the sender."""
    if cell.is_stopped:
        sender.admitted.reject(ActorStopped(cell.path, sender.message))
    elif not cell.senders and (not cell.capacity or len(cell.mailbox) < cell.capacity):
        cell.deliver(sender.message, sender.origin)
        sender.admitted.resolve(None)
    else:
        cell.senders = cell.senders or deque()
        cell.senders.append(sender)


def admit(cell: Cell) -> None:
    """Let those who wait in `send` in, in their order, as far as there is room."""
    while cell.senders and len(cell.mailbox) < cell.capacity:
        sender = cell.senders.popleft()
        if sender.admitted.resolve(None):  # else it was cancelled while it waited
            cell.mailbox.append((sender.message, sender.origin))
    if not cell.senders:
        cell.senders = None


def turn_away(cell: Cell) -> None:
    """The actor has ended for good: those who wait in `send` are told."""
    senders, cell.senders = cell.senders, None
    for sender in senders or ():
        sender.admitted.reject(ActorStopped(cell.path, sender.message))


def stash(cell: Cell, message: object) -> None:
    """Put the message being handled aside, with its asker."""
    cell.stash = cell.stash or []
    if len(cell.stash) >= cell.spec.capacity:
        raise StashFull(cell.path, cell.spec.capacity)
    cell.stash.append((message, cell.origin))
    cell.origin = None


def unstash(cell: Cell) -> None:
    """Put all that was stashed back before the waiting mail, in its order."""
    stashed, cell.stash = cell.stash, None
    if stashed:
        cell.open_mailbox()
    for mail in reversed(stashed or ()):
        cell.mailbox.appendleft(mail)
