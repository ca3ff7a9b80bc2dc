"""Bytes between nodes. This floor knows no actor."""

from __future__ import annotations

from schedule_zero.transports.base import (
    MAX_FRAME,
    Event,
    Link,
    LinkDown,
    LinkUp,
    Received,
    Transport,
)
from schedule_zero.transports.curve import (
    KeyPair,
    make_key_pair,
    read_allowed,
    read_keys,
    read_public,
    write_keys,
)
from schedule_zero.transports.errors import (
    BadEndpoint,
    BadKey,
    EndpointInUse,
    FrameTooLarge,
    InsecureEndpoint,
    LinkLost,
    ScheduleZeroError,
    TransportError,
)
from schedule_zero.transports.opening import open_transport

__all__ = [
    "MAX_FRAME",
    "BadEndpoint",
    "BadKey",
    "EndpointInUse",
    "Event",
    "FrameTooLarge",
    "InsecureEndpoint",
    "KeyPair",
    "Link",
    "LinkDown",
    "LinkLost",
    "LinkUp",
    "Received",
    "ScheduleZeroError",
    "Transport",
    "TransportError",
    "make_key_pair",
    "open_transport",
    "read_allowed",
    "read_keys",
    "read_public",
    "write_keys",
]
