"""What ZeroMQ tells of a socket's connections."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import count

import zmq

from schedule_zero.transports.socket import Socket

_EVENT = struct.Struct("=HI")
_A_TIME = 64
_numbers = count()

OnEvent = Callable[[int, int], None]
"""Takes an event of `zmq.EVENT_*` and its value: a file descriptor, an error, a code."""


class Monitor:
    """Hands the events of a socket's connections to a function, in their order.

    They have to be read at once, whatever else goes on: when nobody reads them, libzmq's I/O thread
    waits, and with it all connections of the context.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        watched: Socket,
        events: int,
        on_event: OnEvent,
    ) -> None:
        address = f"inproc://monitor-{next(_numbers)}"
        watched.raw.monitor(address, events)
        raw = context.socket(zmq.PAIR)
        raw.setsockopt(zmq.LINGER, 0)
        raw.connect(address)
        self._on_event = on_event
        self.socket = Socket(raw, self.drain)

    def drain(self) -> bool:
        """Hand on what has been told up to now; whether there may be more."""
        for _ in range(_A_TIME):
            head = self.socket.receive()
            if head is None:
                return False
            self.socket.receive()  # the endpoint, which is known
            event, value = _EVENT.unpack(head.bytes)
            self._on_event(event, value)
            if self.socket.is_closed:
                return False
        return True
