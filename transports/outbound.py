"""A link that this side has made: one DEALER, which lives for one connection."""

from __future__ import annotations

import trio
import zmq

from schedule_zero.transports.base import Link, LinkDown, LinkUp
from schedule_zero.transports.errors import LinkLost
from schedule_zero.transports.monitor import Monitor
from schedule_zero.transports.options import LINGER, dealer
from schedule_zero.transports.shared import MULTIPART, REVOKED, TOO_LARGE, Shared
from schedule_zero.transports.socket import Socket
from schedule_zero.transports.turns import TURN, Batch

_FAILURES = {
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "the connection was closed in the handshake",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "the handshake failed: has one side alone keys?",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "it does not allow this node's key",
    zmq.EVENT_DISCONNECTED: "the connection was closed",
    zmq.EVENT_CLOSED: "nothing answers there",
}
_EVENTS = sum(_FAILURES) + zmq.EVENT_HANDSHAKE_SUCCEEDED
_PATIENCE = 10.0
_GRACE = 0.01  # seconds: libzmq tells of the end before it hands over the last frames


class Outbound:
    """This side's end of a link that it has made."""

    def __init__(self, shared: Shared, link: Link, key: str) -> None:
        self.link = link
        self.reason = ""
        """Why it is down; empty while it is not."""
        self.is_up = False
        self._shared = shared
        self._key = key
        self._failure = ""
        self._is_told = False
        self._is_dropped = False
        self._decided = trio.Event()
        self._ended = trio.Event()
        self._finished = trio.Event()
        self._room = trio.lowlevel.ParkingLot()
        raw = dealer(shared.context, shared.keys, key, shared.max_frame)
        self._socket = Socket(raw, self._note, self._make_way)
        try:
            self._monitor = Monitor(shared.context, self._socket, _EVENTS, self._on_event)
        except zmq.ZMQError:
            self._socket.close()
            raise

    async def live(self, address: str) -> None:
        """Connect, and stay until the link's last event was given, or it could not be made."""
        async with trio.open_nursery() as nursery:
            try:
                nursery.start_soon(self._socket.watch)
                nursery.start_soon(self._monitor.socket.watch)
                self._connect(address)
                with trio.move_on_after(_PATIENCE):
                    await self._decided.wait()
                if self.is_up:
                    await self._ended.wait()
                    await trio.sleep(_GRACE)
                    self._go_down(self._failure)
                    await self._finished.wait()
                else:
                    self._go_down(self._failure or f"no answer for {_PATIENCE:g} s")
            finally:
                self._close()
                nursery.cancel_scope.cancel()

    def _connect(self, address: str) -> None:
        try:
            self._socket.raw.connect(address)
        except zmq.ZMQError as error:
            self._failure = f"no way to {address}: {error.strerror}"
            self._decided.set()

    # What happens to it

    def _on_event(self, event: int, value: int) -> None:
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.is_up = True
            self._shared.ends[self.link] = self
            self._note()
        else:
            self._failure = self._failure or _FAILURES[zmq.Event(event)]
            if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL and self._key:
                self._failure += ": is its key another?"
            self._ended.set()
        self._decided.set()

    def _note(self) -> bool:
        if self.is_up and not self._is_dropped:
            self._shared.turns.note(self)
        return False

    def _make_way(self) -> None:
        if self._room:
            self._room.unpark()

    def take(self, batch: Batch) -> bool:
        """Give what has happened: up, frames, down."""
        if not self._is_told and not batch.is_full:
            self._is_told = True
            batch.add(LinkUp(self.link))
        has_more = self._take_frames(batch)
        if self.reason and not has_more:
            batch.add(LinkDown(self.link, self.reason))
            self._finish()
        elif self._room and not self._socket.is_closed:
            self._socket.look()
        return has_more

    def _take_frames(self, batch: Batch) -> bool:
        for _ in range(TURN):
            if batch.is_full:
                return True
            if self._socket.is_closed:
                return False
            frame = self._socket.receive()
            if frame is None:
                return False
            self._take_frame(batch, frame)
        return True

    def _take_frame(self, batch: Batch, frame: zmq.Frame) -> None:
        if frame.more:
            self._part(frame)
        elif not self._shared.is_allowed(self._key, self.link.user):
            self.end(self._shared.refuse(REVOKED, self.link))
        elif len(frame) > self._shared.max_frame:
            self.end(self._shared.refuse(TOO_LARGE, self.link))
        elif len(frame):
            batch.add_frame(self.link, frame.bytes)

    def _part(self, first: zmq.Frame) -> None:
        """A message of several parts: two, the first one empty, are the other end's farewell."""
        second = self._socket.receive()
        if len(first) == 0 and second is not None and not second.more:
            self.end(f"dropped by the other side: {second.bytes.decode(errors='replace')}")
        else:
            self.end(self._shared.refuse(MULTIPART, self.link))

    # What this side does

    def try_send(self, frame: bytes) -> bool:
        """Send if there is room, and nobody waits for some."""
        if self.reason or self._room:
            return False
        return self._try(frame)

    async def send(self, frame: bytes) -> None:
        """Send, waiting for room in the order of coming. Raises `LinkLost`."""
        has_waited = not self._room
        while not self.reason:
            if has_waited and self._try(frame):
                return
            await self._room.park()
            has_waited = True
        raise LinkLost(self.link.address, self.reason)

    def _try(self, frame: bytes) -> bool:
        if not self._socket.send(frame):
            return False
        if self._room or not self._shared.turns.has(self):
            self._socket.look()
        return True

    def end(self, reason: str) -> None:
        """Close the connection; what was sent may still go out. `LinkDown` follows."""
        self._go_down(reason)
        self._close()

    def drop(self, reason: str) -> None:
        """Close the connection, and give no event any more."""
        self._is_dropped = True
        self.end(reason)
        self._finish()

    def check_key(self) -> None:
        """End it if the peer's key is not allowed any more."""
        if not self._shared.is_allowed(self._key, self.link.user):
            self.end(self._shared.refuse(REVOKED, self.link))

    def _go_down(self, reason: str) -> None:
        if self.reason:
            return
        self.reason = reason
        self._ended.set()
        self._decided.set()
        self._room.unpark_all()
        self._note()

    def _finish(self) -> None:
        self._shared.turns.forget(self)
        self._shared.ends.pop(self.link, None)
        self._finished.set()

    def _close(self) -> None:
        self._socket.close(LINGER if self.is_up else 0)
        self._monitor.socket.close()
