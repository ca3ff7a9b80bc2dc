"""The kernel's side of connections that ZeroMQ holds: to see what came, and to cut one off.

ZeroMQ does neither. It tells the number of a connection's file descriptor, which may be another
file by the time that it is used: so a copy is made first, and left alone unless it is a connection
that came in at one of our own places. The worst that can happen is the loss of another of those.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_BYTES_RECEIVED = slice(128, 136)  # of Linux' struct tcp_info
_TCP_INFO = getattr(socket, "TCP_INFO", 0)


class Wires:
    """The connections that came in at certain places."""

    def __init__(self) -> None:
        self._places: list[int | str] = []

    def add(self, place: int | str) -> None:
        """One more place: a port, or the path of a socket file."""
        self._places.append(place)

    def cut(self, fd: int) -> None:
        """End a connection: ZeroMQ finds that its peer has closed it."""
        with self._copy(fd) as wire, suppress(OSError):
            if wire is not None:
                wire.shutdown(socket.SHUT_RDWR)

    def received(self, fd: int) -> int:
        """How many bytes have come over a connection; 0 where the system does not tell."""
        with self._copy(fd) as wire, suppress(OSError):
            if wire is not None and _TCP_INFO and wire.family != socket.AF_UNIX:
                info = wire.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _BYTES_RECEIVED.stop)
                return int.from_bytes(info[_BYTES_RECEIVED], "little")
        return 0

    @contextmanager
    def _copy(self, fd: int) -> Iterator[socket.socket | None]:
        wire = _open(fd)
        if wire is None:
            yield None
            return
        with wire:
            yield wire if self._is_ours(wire) else None

    def _is_ours(self, wire: socket.socket) -> bool:
        try:
            name = wire.getsockname()
        except OSError:
            return False
        return (name if isinstance(name, str) else name[1]) in self._places


def _open(fd: int) -> socket.socket | None:
    try:
        copy = os.dup(fd)
    except OSError:
        return None
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return None
