"""What the registry is told and asked, and what it tells."""

from __future__ import annotations

from schedule_zero.runtime import ActorRef, Request, message


@message
class MethodInfo:
    """One method of a handler, for listings: `parameters` is its signature as text."""

    name: str
    parameters: str
    doc: str


@message
class Entry:
    """One handler: what it can do, and the actors that do it (each takes one run at a time)."""

    handler: str
    methods: tuple[MethodInfo, ...]
    instances: tuple[ActorRef, ...]


@message
class Announce:
    """This actor handles these methods. It leaves the registry when it ends."""

    handler: str
    methods: tuple[MethodInfo, ...]
    ref: ActorRef


@message
class Listing:
    """All handlers now, sorted by id; sent to subscribers at first and after each change."""

    entries: tuple[Entry, ...]


@message
class GetListing(Request[Listing]):
    """Ask for all handlers."""


@message
class Subscribe:
    """Send `Listing` to this actor now and after each change, until it ends."""

    ref: ActorRef
