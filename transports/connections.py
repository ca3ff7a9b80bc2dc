"""The connections at the door, from their coming to their end.

Who does not get in is counted, and logged seldom. Of who does, what has come and was not handed
over is watched: libzmq puts the parts of an unfinished message together without any bound.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import zmq
from attrs import define

from schedule_zero.transports.monitor import Monitor
from schedule_zero.transports.shared import Shared
from schedule_zero.transports.socket import Socket
from schedule_zero.transports.wire import Wires

if TYPE_CHECKING:
    from schedule_zero.transports.peer import Peer

_HANDSHAKE = "handshake"
_UNFINISHED = "unfinished"
_FAILED = {
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "it closed the connection, or said nothing",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "it is no node, or one side has keys and the other none",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "its key is not allowed",
}
_EVENTS = sum(_FAILED) + (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_ACCEPTED
    | zmq.EVENT_ACCEPT_FAILED
    | zmq.EVENT_DISCONNECTED
)

_OVERHEAD = 64  # bytes a frame, at most
_IDLE = 256  # bytes that heartbeats may take between two looks
_SLACK = 16 * 1024 * 1024  # what the kernel may hold that libzmq has not read


@define(eq=False)
class Connection:
    """A connection that someone has made."""

    fd: int
    peer: Peer | None = None
    """Whose first frame came over it, as far as is known."""
    is_open: bool = True
    _read: int = 0
    _received: int = 0
    _unfinished: int = 0

    def read(self, size: int) -> None:
        """A frame of this size was handed over."""
        self._read += size + _OVERHEAD

    def unfinished(self, received: int) -> int:
        """How much of a message has come at least, if all finished ones were handed over."""
        came, self._received = received - self._received - _IDLE, received
        self._unfinished = max(0, came - self._read if self._read else self._unfinished + came)
        self._read = 0
        return self._unfinished


class Connections:
    """Follows the door's connections. `on_closed` hears of each one's end."""

    def __init__(
        self, shared: Shared, door: Socket, on_closed: Callable[[Connection], None]
    ) -> None:
        self.wires = Wires()
        self._shared = shared
        self._on_closed = on_closed
        self._open: dict[int, Connection] = {}
        self._to_be_met = 0
        self._has_failed = False
        self.monitor = Monitor(shared.context, door, _EVENTS, self._on_event)

    def meet(self, fd: int) -> Connection | None:
        """The connection of a peer whose first frame has come; None if it is closed already."""
        while self.monitor.drain():
            pass
        self._to_be_met -= 1
        return self._open.get(fd)

    def cut(self, connection: Connection) -> None:
        """End a connection whose peer does not end it."""
        if connection.is_open:
            self.wires.cut(connection.fd)

    def cut_the_unfinished(self) -> None:
        """End those that have sent more than a frame, and nothing whole.

        May be called only when all whole messages were read.
        """
        for connection in list(self._open.values()):
            unfinished = connection.unfinished(self.wires.received(connection.fd))
            if unfinished > self._shared.max_frame + _SLACK:
                self._shared.refused[_UNFINISHED] += 1
                self._shared.log.warn(
                    _UNFINISHED, f"cut off a connection: {unfinished} bytes and no whole message"
                )
                self.cut(connection)

    def _on_event(self, event: int, value: int) -> None:
        if event == zmq.EVENT_ACCEPTED:
            self._open[value] = Connection(value)
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._to_be_met += 1
        elif event == zmq.EVENT_DISCONNECTED:
            connection = self._open.pop(value, None)
            if connection is not None:
                self._disconnected(connection)
        elif event == zmq.EVENT_ACCEPT_FAILED:
            self._shared.log.warn("accept", f"no connection can be accepted: {os.strerror(value)}")
        else:
            self._has_failed = True
            if event != zmq.EVENT_HANDSHAKE_FAILED_AUTH:  # which the gate has counted
                self._refuse(_FAILED[zmq.Event(event)])

    def _disconnected(self, connection: Connection) -> None:
        """After a failed handshake this follows; a connection in an old protocol has this alone."""
        has_failed, self._has_failed = self._has_failed, False
        if connection.peer is None and not has_failed and self._to_be_met <= 0:
            self._refuse("it speaks an old or another protocol")
        connection.is_open = False
        self._on_closed(connection)

    def _refuse(self, why: str) -> None:
        self._shared.refused[_HANDSHAKE] += 1
        self._shared.log.warn(_HANDSHAKE, f"a connection did not become a link: {why}")
