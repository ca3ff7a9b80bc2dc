"""What carries bytes between nodes: links, what happens on them, and the contract of a transport.

The promises that every transport keeps (the conformance suite checks them):

1. A link is one connection, from its making to its end; after a loss there is a new one, never the
   same again. Nothing given to one link comes out of another.
2. What `receive` gives of one link is in order: `LinkUp` first, then frames in the order sent,
   `LinkDown` last and once. A transport may lose frames, and then tells the loss of the link as
   soon as it knows; who numbers its frames finds out sooner. Links end at both ends: the other
   one hears of it at once, or, where nothing gets through, by its own heartbeat.
3. Nothing here grows without bound: `send` waits while the link's queue is full, `receive` is fair
   between links and takes a bounded number at a time, and a frame over the limit ends its link.
4. Bytes from a stranger change nothing: they are refused, counted and logged seldom.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from attrs import field, frozen

MAX_FRAME = 16 * 1024 * 1024
"""How many bytes a frame may have, unless said otherwise."""

BATCH_EVENTS = 256
"""How many events one `receive` gives at most."""

BATCH_BYTES = 4 * 1024 * 1024
"""After how many bytes one `receive` takes no further frame."""


@frozen(eq=False)
class Link:
    """One connection to one peer; equal to itself alone.

    `address` says where it goes, for people. `user` is the node name that the peer's key was
    allowed for, empty on a link without keys. `endpoint` is what `connect` was given, empty for a
    link that the peer has made.
    """

    address: str
    user: str = ""
    endpoint: str = ""

    @property
    def is_outbound(self) -> bool:
        """Whether this side made it."""
        return bool(self.endpoint)


@frozen
class LinkUp:
    """A link can carry frames."""

    link: Link


@frozen
class Received:
    """One frame from a link."""

    link: Link
    frame: bytes = field(repr=False)


@frozen
class LinkDown:
    """A link has ended; `reason` is for people."""

    link: Link
    reason: str


Event = LinkUp | Received | LinkDown


class Transport(Protocol):
    """Carries frames between this node and others. Made and ended by its factory's `async with`.

    Endpoints are URLs such as `tcp://127.0.0.1:7401`, `tcp://[::1]:7401`, `ipc:///run/a.sock`.
    """

    refused: Counter[str]
    """How many strangers and bad frames were refused, by reason."""

    async def listen(self, endpoint: str) -> str:
        """Accept links; returns the endpoint with the port that was really taken.

        Raises `BadEndpoint`, `EndpointInUse`, `InsecureEndpoint`.
        """

    def connect(self, endpoint: str, key: str = "") -> None:
        """Keep a link to that endpoint: now, and after a loss again, waiting longer each time.

        `key` is the public key that the peer must have, where keys are in use. Raises
        `BadEndpoint` and `InsecureEndpoint`. Harmless when it is kept already.
        """

    def disconnect(self, endpoint: str) -> None:
        """End the link to that endpoint and keep it no longer. Harmless when there is none.

        What was sent has a moment to go out; `LinkDown` follows, if the link was up.
        """

    def drop(self, link: Link, reason: str) -> None:
        """End a link: no event of it comes any more. An outbound one is then made anew.

        The other end is told, with the reason; when it made the link, it makes another.
        """

    async def send(self, link: Link, frame: bytes) -> None:
        """Hand over one frame, waiting while the link's queue is full.

        An empty frame does not arrive. Raises `LinkLost` when the link has ended, `FrameTooLarge`
        when the frame is over the limit. Cancelled while it waits, the frame is not sent. When
        there is room it may return without a checkpoint.
        """

    async def receive(self) -> list[Event]:
        """What has happened since: at least one event, waiting for it; one caller at a time.

        Cancelled, it has taken nothing. It has to be called again soon, always: while a link's
        queue is full a transport cannot hear its heartbeats, and may take the peer for lost.
        """
