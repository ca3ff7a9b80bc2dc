"""Opening a node's transport; ZeroMQ is imported only then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from schedule_zero.transports.base import MAX_FRAME, Transport
from schedule_zero.transports.curve import KeyPair


def open_transport(
    *,
    random: Callable[[], float],
    keys: KeyPair | None = None,
    allowed: Mapping[str, str] | None = None,
    max_frame: int = MAX_FRAME,
) -> AbstractAsyncContextManager[Transport]:
    """The transport that nodes use, until the end of its `async with`: see `zmq_transport`."""
    from schedule_zero.transports.zmq import zmq_transport

    return zmq_transport(random=random, keys=keys, allowed=allowed, max_frame=max_frame)
