"""Outgoing: what one node has to say to another, until it leaves in a burst.

Tells that follow each other from one actor to one other, of one type, become one item, encoded in
one call: most of the speed between nodes is this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Raw

from schedule_zero.runtime.codec import Codec
from schedule_zero.runtime.errors import CannotEncode
from schedule_zero.runtime.mailbox import Sender
from schedule_zero.runtime.pending import Pending
from schedule_zero.runtime.remote import RemoteActor
from schedule_zero.runtime.wire import NOBODY, Answer, Ask, Ended, Exit, Item, Refusal, Tell

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell

_RUN = 512
_BURST_BYTES = 128 * 1024
_ITEM_OVERHEAD = 64

Saying = tuple[RemoteActor | None, Any, Any]
"""A receiver, a message and its origin (a cell, a `Pending`, none); or none, an item and none."""


class Outgoing:
    """The queue of one peer, and its packing. `capacity` is in messages.

    `cannot` is called with what is not encodable; `number_ask` gives an ask its number; `number_of`
    is the number of a local actor.
    """

    def __init__(
        self,
        codec: Codec,
        capacity: int,
        max_frame: int,
        number_of: Callable[[Cell], int],
        number_ask: Callable[[Pending, object, str], int],
        cannot: Callable[[RemoteActor, object, Any, CannotEncode], None],
    ) -> None:
        self._codec = codec
        self._max_item = max_frame - 1024
        self._number_of = number_of
        self._number_ask = number_ask
        self._cannot = cannot
        self._ready: deque[tuple[Item, int]] = deque()
        self.queue: deque[Saying] = deque()
        self.capacity = capacity

    def __bool__(self) -> bool:
        return bool(self.queue or self._ready)

    def clear(self) -> list[Saying]:
        """Forget all, and say what it was, items aside."""
        lost = [saying for saying in self.queue if saying[0] is not None]
        self.queue.clear()
        self._ready.clear()
        return lost

    def burst(self) -> list[Item]:
        """The items of the next burst; empty when there is nothing to say."""
        items: list[Item] = []
        size = 0
        while size < _BURST_BYTES:
            if not self._ready:
                if not self.queue:
                    break
                self._pack()
                continue
            item, length = self._ready[0]
            if items and size + length > self._max_item:
                break
            del self._ready[0]
            items.append(item)
            size += length
        return items

    def _pack(self) -> None:
        """Turn what is first in the queue, and what can go with it, into items."""
        queue = self.queue
        receiver, message, origin = queue.popleft()
        if receiver is None:
            self._ready.append((message, _length(message)))
        elif origin.__class__ is Pending or message.__class__ is Sender:
            self._pack_ask(receiver, message, origin)
        else:
            run, cls = [message], message.__class__
            while queue and len(run) < _RUN:
                other, message, source = queue[0]
                if other is not receiver or source is not origin or message.__class__ is not cls:
                    break
                del queue[0]
                run.append(message)
            self._pack_run(receiver, run, origin)

    def _pack_run(self, receiver: RemoteActor, run: Sequence[Any], origin: Any) -> None:
        try:
            bodies = self._codec.encode_run(run)
            if len(bodies) > min(self._max_item, _BURST_BYTES) and len(run) > 1:
                middle = len(run) // 2
                self._pack_run(receiver, run[:middle], origin)
                self._pack_run(receiver, run[middle:], origin)
                return
            self.check_size(bodies, run[0])
        except CannotEncode as error:
            if len(run) == 1:
                self._cannot(receiver, run[0], origin, error)
            else:
                for message in run:
                    self._pack_run(receiver, [message], origin)
            return
        name = self._codec.name_of(run[0].__class__)
        item = Tell(receiver.number, self._sender(origin), name, Raw(bodies))
        self._ready.append((item, len(bodies) + len(name) + _ITEM_OVERHEAD))

    def _pack_ask(self, receiver: RemoteActor, asked: Any, origin: Any) -> None:
        waits_for_room = asked.__class__ is Sender
        message, pending = (asked.message, asked.admitted) if waits_for_room else (asked, origin)
        if pending.is_done:
            return  # the asker has given up meanwhile
        try:
            body = self._codec.encode(message)
            self.check_size(body, message)
        except CannotEncode as error:
            self._cannot(receiver, message, pending, error)
            return
        name = self._codec.name_of(message.__class__)
        number = self._number_ask(pending, message, receiver.path)
        sender = self._sender(pending.sender)
        item = Ask(receiver.number, sender, name, Raw(body), number, waits_for_room)
        self._ready.append((item, len(body) + len(name) + _ITEM_OVERHEAD))

    def check_size(self, body: bytes, message: object) -> None:
        """Raise `CannotEncode` for what no frame can carry."""
        if len(body) > self._max_item:
            why = f"it takes {len(body)} bytes, a frame may have {self._max_item}"
            raise CannotEncode(message.__class__, why)

    def _sender(self, origin: Any) -> int:
        if origin is None:
            return NOBODY
        if isinstance(origin, RemoteActor):
            return NOBODY  # relayed for an actor of a third node, which has no number here
        return self._number_of(origin)


def _length(item: Item) -> int:
    """About how many bytes an item takes."""
    match item:
        case Answer():
            return len(item.value.body) + _ITEM_OVERHEAD
        case Refusal():
            return 4 * (len(item.text) + sum(map(len, item.facts))) + _ITEM_OVERHEAD
        case Ended() | Exit():
            return 4 * len(item.text) + _ITEM_OVERHEAD
    return _ITEM_OVERHEAD
