"""Peers: one life of another node as this node knows it, and what goes to it and comes from it.

The rules that this file keeps:

1. With a session, what is told goes to the queue, and over its bound to the dead letters. Without
   one, what is told is a dead letter, asks fail at once, and monitors fire with `noconnection`.
2. When the session ends, so do all asks (`NodeUnreachable`), monitors and links. What had not left
   becomes dead letters; what had left may have been handled or not.
3. What comes in is data from a stranger until it has been checked: it can be wrong, not raise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from schedule_zero.runtime import fates, refusals
from schedule_zero.runtime.codec import Codec
from schedule_zero.runtime.errors import (
    ActorStopped,
    BadMessage,
    CannotEncode,
    MailboxFull,
    NodeUnreachable,
)
from schedule_zero.runtime.exports import Exports
from schedule_zero.runtime.mailbox import Sender, wait_in_line
from schedule_zero.runtime.outgoing import Outgoing
from schedule_zero.runtime.pending import Pending
from schedule_zero.runtime.remote import RemoteActor
from schedule_zero.runtime.session import Identity
from schedule_zero.runtime.wire import (
    DOOR,
    NOBODY,
    Answer,
    Ask,
    Ended,
    Exit,
    Item,
    Link,
    Refusal,
    Stop,
    Tell,
    Unlink,
    Unwatch,
    Value,
    Watch,
)

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell
    from schedule_zero.runtime.node import Node

_SWEEP_ASKS_AT = 256
_logger = logging.getLogger("schedule_zero.network")


class Peer:
    """One life of another node. `wake` is called when there is something to send.

    `knock` answers what is asked of the node itself, `hang_up` ends the session with a name.
    """

    def __init__(
        self,
        node: Node,
        identity: Identity,
        codec: Codec,
        exports: Exports,
        knock: Callable[[object, Pending], None],
        hang_up: Callable[[str, str], None],
        capacity: int,
        max_frame: int,
    ) -> None:
        self.node = node
        self.identity = identity
        self.is_over = False
        self.is_connected = False
        self.why = "no session with it yet"
        self._codec = codec
        self._exports = exports
        self._knock = knock
        self._hang_up = hang_up
        self._wake: Callable[[], None] = _nobody_writes
        self._asks: dict[int, tuple[Pending, object, str]] = {}
        self._last_ask = 0
        self._sweep_asks_at = _SWEEP_ASKS_AT
        self._actors: WeakValueDictionary[int, RemoteActor] = WeakValueDictionary()
        self.fates = fates.Fates(self, exports)
        self._out = Outgoing(
            codec, capacity, max_frame, exports.number, self._number_ask, self._cannot_send
        )

    def __repr__(self) -> str:
        return f"<Peer {self.identity.name}, incarnation {self.identity.incarnation}>"

    def actor(self, number: int, place: str = "") -> RemoteActor:
        """The one stand-in for that actor of the peer."""
        actor = self._actors.get(number)
        if actor is None:
            actor = self._actors[number] = RemoteActor(self.node, self, number, place)
        elif place and not actor.place:
            actor.place = place
        return actor

    def actors(self) -> list[RemoteActor]:
        """All stand-ins that are in use, in the order of their numbers."""
        return [actor for _, actor in sorted(self._actors.items())]

    # The session

    def opened(self, wake: Callable[[], None]) -> None:
        """A session has begun."""
        self.is_connected = True
        self._wake = wake

    def closed(self, why: str) -> None:
        """The session has ended."""
        if not self.is_connected:
            return
        self.is_connected = False
        self.why = why
        self._wake = _nobody_writes
        for receiver, message, origin in self._out.clear():
            if receiver is not None:
                self._unreachable(receiver, message, origin)
        asks, self._asks = self._asks, {}
        for pending, message, target in asks.values():
            pending.reject(NodeUnreachable(target, message, why))
        self.fates.lost(self.actors())

    def over(self) -> None:
        """A later life of the node has begun: this one never comes back."""
        self.closed("a later life of the node has begun")
        self.why = "a later life of the node has begun"
        self.is_over = True

    # What goes out

    def deliver(self, receiver: RemoteActor, message: object, origin: Any) -> None:
        """Queue a message for an actor of the peer."""
        out = self._out
        if not self.is_connected:
            self._unreachable(receiver, message, origin)
        elif len(out.queue) >= out.capacity:
            self._full(receiver, message, origin)
        else:
            out.queue.append((receiver, message, origin))
            self._wake()

    def say(self, item: Item) -> None:
        """Queue an item; nothing without a session, whose end says it all.

        A peer that asks and asks and takes no answers has its session ended.
        """
        if not self.is_connected:
            return
        if len(self._out.queue) >= 2 * self._out.capacity:
            self._hang_up(self.identity.name, "it does not take what is sent to it")
            return
        self._out.queue.append((None, item, None))
        self._wake()

    def burst(self) -> list[Item]:
        """What leaves next; empty when there is nothing to say."""
        return self._out.burst()

    @property
    def has_more(self) -> bool:
        """Whether there is something to say."""
        return bool(self._out)

    def _unreachable(self, receiver: RemoteActor, message: Any, origin: Any) -> None:
        pending = _pending_of(message, origin)
        if pending is not None:
            pending.reject(NodeUnreachable(receiver.path, _message_of(message), self.why))
        else:
            self._bury(receiver, message, "no_connection", origin)

    def _full(self, receiver: RemoteActor, message: Any, origin: Any) -> None:
        pending = _pending_of(message, origin)
        if pending is not None:
            plain = _message_of(message)
            pending.reject(MailboxFull(receiver.path, plain, self._out.capacity))
        else:
            self._bury(receiver, message, "mailbox_full", origin)

    def _cannot_send(
        self, receiver: RemoteActor, message: object, origin: Any, error: CannotEncode
    ) -> None:
        if origin.__class__ is Pending:
            origin.reject(CannotEncode(error.value_type, error.why, receiver.path, message))
        else:
            self._bury(receiver, message, "cannot_encode", origin, str(error))

    def _bury(
        self, receiver: RemoteActor, message: object, reason: Any, origin: Any, failure: str = ""
    ) -> None:
        sender = "" if origin is None else origin.path
        self.node.dead_letters.record(receiver.path, message, reason, sender, failure)

    def _number_ask(self, pending: Pending, message: object, target: str) -> int:
        if len(self._asks) >= self._sweep_asks_at:  # those who gave up are still in it
            self._asks = {n: ask for n, ask in self._asks.items() if not ask[0].is_done}
            self._sweep_asks_at = max(_SWEEP_ASKS_AT, 2 * len(self._asks))
        self._last_ask += 1
        self._asks[self._last_ask] = (pending, message, target)
        return self._last_ask

    # What comes in

    def heard(self, item: Item) -> None:
        """One item of a burst."""
        match item:
            case Tell():
                self._told(item)
            case Ask():
                self._asked(item)
            case Answer() | Refusal():
                self._answered(item)
            case Stop():
                cell = self._exports.cell(item.actor)
                if cell is not None:
                    cell.stop()
            case Watch() | Unwatch() | Ended() | Link() | Unlink() | Exit():
                self.fates.heard(item)

    def _told(self, tell: Tell) -> None:
        cell = self._exports.cell(tell.to)
        origin = self.actor(tell.sender) if tell.sender != NOBODY else None
        try:
            messages = self._codec.decode_run(tell.type, tell.bodies)
        except BadMessage as error:
            self._refuse(error)
            return
        if cell is None:
            for message in messages:
                self._nobody(tell.to, message, origin)
            return
        bad = [message for message in messages if message.__class__ is BadMessage]
        if bad:
            self._refuse(bad[0], len(bad))
            messages = [message for message in messages if message.__class__ is not BadMessage]
        for message in messages:
            mailbox = cell.mailbox
            if len(mailbox) < cell.capacity:
                mailbox.append((message, origin))
                if not cell.phase:
                    cell.node.dispatcher.schedule(cell)
            else:
                cell.deliver(message, origin)

    def _asked(self, ask: Ask) -> None:
        pending = Pending(self.actor(ask.sender) if ask.sender != NOBODY else None)  # type: ignore[arg-type]
        try:
            message = self._codec.decode(ask.type, ask.body)
        except BadMessage as error:
            self.say(refusals.to_refusal(ask.number, error))
            return
        pending.when_done(lambda done: self._reply(ask.number, message, done))
        if ask.to == DOOR:
            self._knock(message, pending)
            return
        cell = self._exports.cell(ask.to)
        if cell is None:
            pending.reject(ActorStopped(f"#{ask.to}@{self.node.name}", message))
        elif ask.wants_admission:
            self._admit(cell, message, pending)
        elif not cell.phase and message.__class__ in cell.direct:
            self.node.dispatcher.handle_now(cell, message, pending)
        else:
            cell.deliver(message, pending)

    def _admit(self, cell: Cell, message: object, pending: Pending) -> None:
        if len(cell.senders or ()) >= cell.spec.capacity:
            pending.reject(MailboxFull(cell.path, message, cell.spec.capacity))
            return
        wait_in_line(cell, Sender(message, pending.sender, pending))

    def _reply(self, number: int, request: object, done: Pending) -> None:
        try:
            if done.error is not None:
                raise done.error
            value = done.result()
            name, body = self._codec.encode_reply(request.__class__, value)
            self._out.check_size(body, value)
            self.say(Answer(number, Value.of(body, name)))
        except Exception as error:
            self.say(refusals.to_refusal(number, error))

    def _answered(self, item: Answer | Refusal) -> None:
        asked = self._asks.pop(item.number, None)
        if asked is None:
            if isinstance(item, Refusal):  # of something that was told
                _logger.warning("%r refused a message: %s", self.identity.name, item.text)
            return
        pending, message, target = asked
        if isinstance(item, Refusal):
            pending.reject(refusals.to_error(item, target, message))
            return
        try:
            value = self._codec.decode_reply(message.__class__, item.value.type, item.value.body)
        except BadMessage as error:
            pending.reject(NodeUnreachable(target, message, f"its answer is bad: {error}"))
            return
        if not pending.resolve(value):
            self.node.dead_letters.record(target, message, "late_reply")

    def _refuse(self, error: BadMessage, count: int = 1) -> None:
        why = error.why if count == 1 else f"{error.why} ({count} like it)"
        self.node.dead_letters.record(self.identity.name, error.name, "refused", failure=why)
        self.say(refusals.to_refusal(0, error))

    def _nobody(self, number: int, message: object, origin: RemoteActor | None) -> None:
        path = "" if origin is None else origin.path
        self.node.dead_letters.record(f"#{number}", message, "stopped", path)


def _pending_of(message: Any, origin: Any) -> Pending | None:
    if message.__class__ is Sender:
        return message.admitted
    return origin if origin.__class__ is Pending else None


def _message_of(message: Any) -> object:
    return message.message if message.__class__ is Sender else message


def _nobody_writes() -> None:
    pass
