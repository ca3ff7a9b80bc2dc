"""What the parts of one ZeroMQ transport have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

import zmq
from attrs import define, field

from schedule_zero.transports.base import Link
from schedule_zero.transports.curve import KeyPair
from schedule_zero.transports.seldom import Seldom
from schedule_zero.transports.turns import Turns

REVOKED = "revoked"
MULTIPART = "multipart"
TOO_LARGE = "too_large"


class End(Protocol):
    """This side's end of a link."""

    def try_send(self, frame: bytes) -> bool:
        """Send if there is room at once."""

    async def send(self, frame: bytes) -> None:
        """Send, waiting for room. Raises `LinkLost`."""

    def drop(self, reason: str) -> None:
        """End it without an event."""

    def check_key(self) -> None:
        """End it if the peer's key is not allowed any more."""


@define
class Shared:
    """What the parts of one ZeroMQ transport have in common."""

    context: zmq.Context[zmq.Socket[bytes]]
    keys: KeyPair | None
    allowed: Mapping[str, str]
    max_frame: int
    log: Seldom
    refused: Counter[str] = field(factory=Counter)
    turns: Turns = field(factory=Turns)
    ends: dict[Link, End] = field(factory=dict)

    def is_allowed(self, key: str, user: str) -> bool:
        """Whether the holder of this key is, at this moment, that node; yes without a key."""
        return not key or self.allowed.get(key) == user

    def refuse(self, kind: str, link: Link) -> str:
        """Count what was refused of a link, and say so."""
        self.refused[kind] += 1
        said = _SAID[kind]
        self.log.warn(kind, f"ended the link to {link.address}: {said}")
        return said


_SAID = {
    REVOKED: "its key is not allowed any more",
    MULTIPART: "it sent a message of several parts",
    TOO_LARGE: "it sent a frame over the limit",
}
