"""How our ZeroMQ sockets are set up, and why."""

from __future__ import annotations

import zmq

from schedule_zero.transports.curve import KeyPair

QUEUE = 64
"""How many frames wait in ZeroMQ's queue of a link, each way: few, since a frame may be large."""

LINGER = 0.2
"""For how many seconds what was sent before a close may still go out."""

HEARTBEAT = 1.0
HEARTBEAT_TIMEOUT = 4.0
"""Seconds between ZeroMQ's own heartbeats, and of silence after which a connection is cut.

libzmq reads nothing from a connection whose queue is full, not even heartbeats: who does not
receive for so long while a peer goes on sending loses the link.
"""

HANDSHAKE_TIMEOUT = 2.0
CONNECT_TIMEOUT = 5.0

ZAP_DOMAIN = b"schedule-zero"

_NEVER = 3_600_000
_CURVE_OVERHEAD = 33  # MAXMSGSIZE counts what is on the wire: command, nonce, flags, authenticator


def context() -> zmq.Context[zmq.Socket[bytes]]:
    """A context of a transport's own: with its own ZAP, and no limit of sockets to speak of."""
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made.set(zmq.MAX_SOCKETS, 16_384)
    return made


def router(
    made_by: zmq.Context[zmq.Socket[bytes]], keys: KeyPair | None, max_frame: int
) -> zmq.Socket[bytes]:
    """A socket that listens: it never sends to who is not there, and asks ZAP about everyone.

    That also refuses the old protocols 1 and 2, under which an HTTP request reads as frames.
    """
    socket = made_by.socket(zmq.ROUTER)
    _prepare(socket, max_frame, _CURVE_OVERHEAD if keys else 0)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
    socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
    if keys is not None:
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        _set_keys(socket, keys)
    return socket


def dealer(
    made_by: zmq.Context[zmq.Socket[bytes]], keys: KeyPair | None, server: str, max_frame: int
) -> zmq.Socket[bytes]:
    """A socket for one connection: it keeps nothing for a next one, and makes none.

    With RECONNECT_IVL=-1, and with IMMEDIATE=1 too, libzmq throws away what has arrived and was not
    read when the connection ends. An interval longer than the socket's life does not, and nothing
    is sent before the connection is there. The probe lets the other end know the link at once.
    """
    socket = made_by.socket(zmq.DEALER)
    _prepare(socket, max_frame, _CURVE_OVERHEAD if server else 0)
    socket.setsockopt(zmq.RECONNECT_IVL, _NEVER)
    socket.setsockopt(zmq.CONNECT_TIMEOUT, _ms(CONNECT_TIMEOUT))
    socket.setsockopt(zmq.PROBE_ROUTER, 1)
    if keys is not None and server:
        socket.setsockopt(zmq.CURVE_SERVERKEY, server.encode())
        _set_keys(socket, keys)
    return socket


def _prepare(socket: zmq.Socket[bytes], max_frame: int, overhead: int) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, QUEUE)
    socket.setsockopt(zmq.RCVHWM, QUEUE)
    socket.setsockopt(zmq.MAXMSGSIZE, max_frame + overhead)
    socket.setsockopt(zmq.HANDSHAKE_IVL, _ms(HANDSHAKE_TIMEOUT))
    socket.setsockopt(zmq.HEARTBEAT_IVL, _ms(HEARTBEAT))
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _ms(HEARTBEAT_TIMEOUT))
    socket.setsockopt(zmq.IPV6, 1)


def _set_keys(socket: zmq.Socket[bytes], keys: KeyPair) -> None:
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public.encode())
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode())


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
