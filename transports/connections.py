"""Who comes to the door and does not get in: counted, and logged seldom."""

from __future__ import annotations

import os
from collections.abc import Callable

import zmq

from schedule_zero.transports.monitor import Monitor
from schedule_zero.transports.shared import Shared
from schedule_zero.transports.socket import Socket

_HANDSHAKE = "handshake"
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


class Strangers:
    """Follows the door's connections from their coming to their end.

    `on_closed` hears the file descriptor of each connection that has ended.
    """

    def __init__(self, shared: Shared, door: Socket, on_closed: Callable[[int], None]) -> None:
        self._shared = shared
        self._on_closed = on_closed
        self._open: dict[int, bool] = {}
        """The connections there are, by descriptor, and whether each has become a link."""
        self._to_be_met = 0
        self._has_failed = False
        self.monitor = Monitor(shared.context, door, _EVENTS, self._on_event)

    def met(self, fd: int) -> bool:
        """A peer's first frame has come; whether its connection is there still."""
        while self.monitor.drain():
            pass
        self._to_be_met -= 1
        if fd not in self._open:
            return False
        self._open[fd] = True
        return True

    def _on_event(self, event: int, value: int) -> None:
        if event == zmq.EVENT_ACCEPTED:
            self._open[value] = False
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._to_be_met += 1
        elif event == zmq.EVENT_DISCONNECTED:
            self._disconnected(is_met=self._open.pop(value, False))
            self._on_closed(value)
        elif event == zmq.EVENT_ACCEPT_FAILED:
            self._shared.log.warn("accept", f"no connection can be accepted: {os.strerror(value)}")
        else:
            self._has_failed = True
            if event != zmq.EVENT_HANDSHAKE_FAILED_AUTH:  # which the gate has counted
                self._refuse(_FAILED[zmq.Event(event)])

    def _disconnected(self, *, is_met: bool) -> None:
        """After a failed handshake this follows; a connection in an old protocol has this alone."""
        has_failed, self._has_failed = self._has_failed, False
        if not is_met and not has_failed and self._to_be_met <= 0:
            self._refuse("it speaks an old or another protocol")

    def _refuse(self, why: str) -> None:
        self._shared.refused[_HANDSHAKE] += 1
        self._shared.log.warn(_HANDSHAKE, f"a connection did not become a link: {why}")
