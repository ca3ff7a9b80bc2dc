"""One ZeroMQ socket on trio: the rules of its edge-triggered file descriptor, and nothing else.

ZeroMQ's FD does not say that there is something to read; it says that the socket's state may have
changed since someone last looked. The rules:

1. Try without blocking first.
2. When that fails, read EVENTS, and wait for the FD only if EVENTS shows nothing.
3. Any send, receive or look may take in the news that the FD has announced: whoever waits for the
   other direction is told after each of them.
4. One task waits for the FD; others are told by it.
5. There is no checkpoint between taking a message and handing it on.
6. Trio hears of the close before the FD is closed.
7. A close never waits without bound.
8. Many messages are taken each time, up to a cap, after which other tasks have their turn.
"""

from __future__ import annotations

from collections.abc import Callable

import trio
import zmq

_TRIES = 3

# As plain numbers: arithmetic with zmq's enums is slow.
_EVENTS, _POLLIN, _POLLOUT = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.POLLOUT)
_NOBLOCK, _SNDMORE = int(zmq.NOBLOCK), int(zmq.SNDMORE)


class Socket:
    """A socket whose owner is told when it may be read or written.

    `on_readable` is called when there is something to read: it takes some, up to its cap, and says
    whether it wants to be called again soon. `on_writable` is called when there may be room. Both
    are called for the news that `watch` sees, and for what `look` finds.
    """

    def __init__(
        self,
        raw: zmq.Socket[bytes],
        on_readable: Callable[[], bool],
        on_writable: Callable[[], object] = lambda: None,
    ) -> None:
        self.raw = raw
        self._fd = int(raw.getsockopt(zmq.FD))
        self._on_readable = on_readable
        self._on_writable = on_writable

    async def watch(self) -> None:
        """Wait for news, until cancelled or the socket is closed. One task a socket does it."""
        while not self.is_closed:
            if self.look():
                await trio.lowlevel.checkpoint()
                continue
            try:
                await trio.lowlevel.wait_readable(self._fd)
            except trio.ClosedResourceError:
                return

    def look(self) -> bool:
        """See what the socket can do now, and tell; whether there may be more to read."""
        events = self._events()
        if events & _POLLOUT:
            self._on_writable()
        return bool(events & _POLLIN) and self._on_readable()

    def _events(self) -> int:
        return int(self.raw.getsockopt(_EVENTS))

    def send(self, first: bytes, *rest: bytes) -> bool:
        """Send a message if there is room.

        After a success someone has to `look`, for those who wait to read. After a failure nobody
        may: it is the last word, and the next news of room wakes `watch`, unless someone takes it
        in. Room is asked for with the first part; the others follow it in any case.
        """
        flags = _NOBLOCK | _SNDMORE if rest else _NOBLOCK
        for _ in range(_TRIES):
            try:
                self.raw.send(first, flags)
            except zmq.Again:
                events = self._events()
                if events & _POLLIN:
                    self._on_readable()
                if not events & _POLLOUT:
                    return False
            else:
                break
        else:
            return False  # a ROUTER, with room for another peer
        for number, part in enumerate(rest, 1):
            self.raw.send(part, _NOBLOCK | _SNDMORE if number < len(rest) else _NOBLOCK)
        return True

    def receive(self) -> zmq.Frame | None:
        """The next part of a message if there is one; none means that all news was taken in."""
        try:
            return self.raw.recv(_NOBLOCK, copy=False)
        except zmq.Again:
            return None

    def close(self, linger: float = 0) -> None:
        """Close, and let what was sent go for so many seconds, in the background."""
        if not self.is_closed:
            trio.lowlevel.notify_closing(self._fd)
            self.raw.disable_monitor()
            self.raw.close(linger=round(linger * 1000))

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self.raw.closed
