"""The network of a node: its links, its sessions and its peers.

A thin shell around `session.py`: it gives the core what comes in and the time, and carries out what
the core says. All of it runs in one task of the node's, `run`, and ends with it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeVar, assert_never, cast
from weakref import WeakValueDictionary

import trio
from attrs import field, frozen

from schedule_zero.runtime import session, wire
from schedule_zero.runtime.actor import Actor
from schedule_zero.runtime.codec import Codec
from schedule_zero.runtime.door import Door, Lookup
from schedule_zero.runtime.errors import NodeError, NodeUnreachable
from schedule_zero.runtime.exports import Exports
from schedule_zero.runtime.line import Line
from schedule_zero.runtime.message import Request
from schedule_zero.runtime.peer import Peer
from schedule_zero.runtime.pending import Pending
from schedule_zero.runtime.ref import ActorRef
from schedule_zero.runtime.session import Identity, Sessions
from schedule_zero.runtime.stream import Stream
from schedule_zero.transports import (
    MAX_FRAME,
    FrameTooLarge,
    Link,
    LinkDown,
    LinkLost,
    LinkUp,
    Received,
    Transport,
    open_transport,
)

if TYPE_CHECKING:
    from schedule_zero.runtime.node import Node
    from schedule_zero.transports import KeyPair

T = TypeVar("T")

_SLICE = 0.0005
_FAREWELL = 0.5
_LOG_EVERY = 60.0
_MOST_NAMES = 10_000
_logger = logging.getLogger("schedule_zero.network")


@frozen
class Network:
    """How a node speaks with others.

    `cluster`: only nodes of the same cluster have sessions. `keys` and `allowed` (public key ->
    node name) are needed beyond loopback. `interval` is how often, in seconds, a silent node gives
    a sign of life, `timeout` after how much silence a session ends. `capacity` is how many messages
    may wait for each peer. `offers` are the actor classes that other nodes may start here, by name.
    `transport` replaces ZeroMQ, in simulations.
    """

    cluster: str = ""
    keys: KeyPair | None = None
    allowed: Mapping[str, str] = field(factory=dict)
    interval: float = 1.0
    timeout: float = 4.0
    capacity: int = 100_000
    max_frame: int = MAX_FRAME
    offers: Mapping[str, type[Actor]] = field(factory=dict)
    transport: AbstractAsyncContextManager[Transport] | None = None


@frozen
class PeerUp:
    """A session with this life of a node has begun."""

    name: str
    incarnation: int


@frozen
class PeerDown:
    """The session with this life of a node has ended; `reason` is for people."""

    name: str
    incarnation: int
    reason: str


class Connections:
    """What a node has of the network while it runs."""

    def __init__(
        self, node: Node, network: Network, listen: Sequence[str], peers: Sequence[str]
    ) -> None:
        self.endpoints: list[str] = []
        self.events: Stream[PeerUp | PeerDown] = Stream()
        self.refused: Counter[str] = Counter()
        self._node = node
        self._network = network
        self._listen = listen
        self._calls = dict(_call(peer, network.allowed) for peer in peers)
        self._exports = Exports()
        self._codec = Codec(self)
        self._door = Door(node, network.offers)
        self._me = Identity(node.name, node.incarnation)
        self._sessions = Sessions(
            self._me, network.cluster, interval=network.interval, timeout=network.timeout
        )
        self._lines: dict[Link, Line] = {}
        self._peers: WeakValueDictionary[tuple[str, int], Peer] = WeakValueDictionary()
        self._open: dict[str, Peer] = {}
        self._newest: dict[str, int] = {}
        self._awaited: dict[str, list[Pending]] = {}
        self._logged_at: dict[str, float] = {}
        self._leaving = trio.Event()
        self._silence = trio.Event()
        self._ended = trio.Event()

    # For the node

    async def run(self, started: Pending) -> None:
        """Live until `leave`; `started` is answered once all endpoints are listened on."""
        network = self._network
        transport = network.transport or self._open_transport()
        try:
            async with transport as self._transport, trio.open_nursery() as self._nursery:
                for endpoint in self._listen:
                    self.endpoints.append(await self._transport.listen(endpoint))
                for endpoint, key in self._calls.items():
                    self._transport.connect(endpoint, key)
                self._nursery.start_soon(self._read)
                self._nursery.start_soon(self._tick)
                started.resolve(None)
                await self._leaving.wait()
                await self._say_goodbye()
                self._nursery.cancel_scope.cancel()
        except Exception as error:
            if started.is_done:
                raise
            started.reject(_only(error))
        finally:
            self._ended.set()

    async def leave(self) -> None:
        """Take leave of all peers and end."""
        self._leaving.set()
        await self._ended.wait()

    @property
    def connected(self) -> dict[str, int]:
        """The nodes with which there is a session, and their incarnations."""
        return {name: peer.incarnation for name, peer in self._sessions.peers.items()}

    def hang_up(self, name: str, reason: str) -> None:
        """End the session with a node: its link is made anew."""
        self._perform(self._sessions.hang_up(name, reason))

    # For the codec: what refs mean

    def address(self, ref: ActorRef) -> tuple[str, int, int, str]:
        """Node, incarnation, number and path of an actor."""
        target = ref._cell
        if target.is_remote:
            peer = target.peer.identity
            return peer.name, peer.incarnation, target.number, target.place
        return self._me.name, self._me.incarnation, self._exports.number(target), target.path

    def resolve(self, node: str, incarnation: int, number: int, path: str) -> ActorRef:
        """The ref at this address."""
        identity = Identity(node, incarnation)
        if identity == self._me:
            cell = self._exports.cell(number)
            if cell is not None:
                return cell.ref
        return self._peer(identity).actor(number, path).ref

    # Tasks

    def _open_transport(self) -> AbstractAsyncContextManager[Transport]:
        network = self._network
        return open_transport(
            keys=network.keys,
            allowed=network.allowed,
            max_frame=network.max_frame,
            random=self._node.random.random,
        )

    async def _read(self) -> None:
        clock = self._node.clock
        until = clock.monotonic() + _SLICE
        while True:
            for event in await self._transport.receive():
                now = clock.monotonic()
                if now > until:
                    await trio.lowlevel.checkpoint()  # a flood is read in turns with all else
                    now = clock.monotonic()
                    until = now + _SLICE
                self._happened(event, now)

    def _happened(self, event: LinkUp | Received | LinkDown, now: float) -> None:
        link = event.link
        match event:
            case Received():
                try:
                    frame = wire.decode(event.frame)
                except wire.BadFrame as error:
                    self._spoiled(link, str(error), now)
                else:
                    self._perform(self._sessions.heard(link, frame, now))
            case LinkUp():
                line = self._lines[link] = Line(link)
                self._nursery.start_soon(self._write, line)
                self._perform(self._sessions.link_up(link, now))
            case LinkDown():
                self._lost(link, event.reason)

    async def _tick(self) -> None:
        every = min(self._network.interval, self._network.timeout) / 4
        while True:
            await trio.sleep(every)
            self._perform(self._sessions.tick(self._node.clock.monotonic()))

    async def _write(self, line: Line) -> None:
        """Say on one link all that there is to say on it."""
        try:
            with line.scope:
                await self._write_on(line)
            self._transport.drop(line.link, line.ending)
        except (LinkLost, FrameTooLarge) as error:
            self._lost(line.link, str(error))
        finally:
            self._lines.pop(line.link, None)
            if not self._lines:
                self._silence.set()

    async def _write_on(self, line: Line) -> None:
        send, link = self._transport.send, line.link
        while True:
            if line.frames:
                await send(link, wire.encode(line.frames.popleft()))
            elif line.ending:
                return
            elif line.peer is not None and (items := line.peer.burst()):
                number = self._sessions.number(link, self._node.clock.monotonic())
                await send(link, wire.encode(wire.Burst(number, items)))
            else:
                await line.wait()

    async def _say_goodbye(self) -> None:
        self._perform(self._sessions.leave())
        if self._lines:
            self._silence = trio.Event()
            await self._silence.wait()  # each line has its deadline

    # What the core says

    def _perform(self, effects: Sequence[session.Effect]) -> None:
        for effect in effects:
            match effect:
                case session.Delivered():
                    self._delivered(effect)
                case session.Send():
                    self._say(effect)
                case session.Opened():
                    self._opened(effect)
                case session.Closed():
                    self._closed(effect)
                case session.Dropped():
                    self._dropped(effect.link, effect.reason)
                case session.Rested():
                    self._rest(effect.endpoint)
                case session.Resumed():
                    self._transport.connect(effect.endpoint, self._calls[effect.endpoint])
                case session.Refused():
                    self._refused(effect.code, f"{effect.link.address}: {effect.text}")
                case _:
                    assert_never(effect)

    def _say(self, effect: session.Send) -> None:
        line = self._lines.get(effect.link)
        if line is not None:
            line.say(effect.frame)

    def _delivered(self, effect: session.Delivered) -> None:
        line = self._lines.get(effect.link)
        if line is None or line.peer is None:
            return
        for item in effect.items:
            if line.peer is None:
                return  # what it said has ended the session
            line.peer.heard(item)

    def _opened(self, effect: session.Opened) -> None:
        identity = effect.peer
        self._newest.pop(identity.name, None)
        self._newest[identity.name] = identity.incarnation
        if len(self._newest) > _MOST_NAMES:
            del self._newest[next(iter(self._newest))]
        for peer in list(self._peers.values()):
            if peer.identity.name == identity.name and peer.identity != identity:
                peer.over()
        peer = self._peer(identity)
        line = self._lines[effect.link]
        line.peer = self._open[identity.name] = peer
        peer.opened(line.wake)
        _logger.info("session with %s (incarnation %d)", identity.name, identity.incarnation)
        for waiting in self._awaited.pop(identity.name, ()):
            waiting.resolve(peer)
        self.events.publish(PeerUp(identity.name, identity.incarnation))

    def _closed(self, effect: session.Closed) -> None:
        identity = effect.peer
        line = self._lines.get(effect.link)
        if line is not None:
            line.peer = None
        self._open.pop(identity.name).closed(effect.reason)
        level = logging.INFO if effect.reason == session.LEAVING else logging.WARNING
        _logger.log(level, "session with %s ended: %s", identity.name, effect.reason)
        self.events.publish(PeerDown(identity.name, identity.incarnation, effect.reason))

    def _dropped(self, link: Link, reason: str) -> None:
        line = self._lines.get(link)
        if line is not None:
            line.ending = reason
            line.scope.deadline = trio.current_time() + _FAREWELL
            line.wake()

    def _rest(self, endpoint: str) -> None:
        for line in list(self._lines.values()):
            if line.link.endpoint == endpoint:
                self._dropped(line.link, "its peer has called already")
        self._transport.disconnect(endpoint)

    def _lost(self, link: Link, reason: str) -> None:
        line = self._lines.get(link)
        self._perform(self._sessions.link_down(link, reason, self._node.clock.monotonic()))
        if line is not None:
            line.scope.cancel()

    def _spoiled(self, link: Link, why: str, now: float) -> None:
        """Bytes that are no frame: the link has no worth any more."""
        self._refused("bad-frame", f"{link.address}: {why}")
        line = self._lines.get(link)
        if line is not None:
            line.say(wire.Goodbye("bad-frame", self._me.name, why[:200]))
        self._perform(self._sessions.link_down(link, f"it sent a bad frame: {why}", now))
        self._dropped(link, "it sent a bad frame")

    def _refused(self, code: str, text: str) -> None:
        self.refused[code] += 1
        now = self._node.clock.monotonic()
        if now - self._logged_at.get(code, float("-inf")) >= _LOG_EVERY:
            self._logged_at[code] = now
            _logger.warning("refused (%s): %s; %d so far", code, text, self.refused[code])

    def _peer(self, identity: Identity) -> Peer:
        key = (identity.name, identity.incarnation)
        peer = self._peers.get(key)
        if peer is None:
            network = self._network
            peer = self._peers[key] = Peer(
                self._node,
                identity,
                self._codec,
                self._exports,
                self._door.knock,
                self.hang_up,
                network.capacity,
                network.max_frame,
            )
            if identity == self._me or identity.incarnation < self._newest.get(identity.name, 0):
                peer.over()
        return peer

    async def lookup(self, path: str, on: str, timeout: float) -> ActorRef:
        """The actor at a path of another node, asked for again when the session ends meanwhile."""
        deadline = trio.current_time() + timeout
        while True:
            try:
                return await self.at_door(Lookup(path), on, deadline - trio.current_time())
            except NodeUnreachable:
                if trio.current_time() >= deadline:
                    raise

    async def at_door(self, message: Request[T], on: str, timeout: float) -> T:
        """Ask a node itself, once there is a session with it."""
        begun = trio.current_time()
        peer = await self._session_with(on, message, timeout)
        left = max(0.0, begun + timeout - trio.current_time())
        return await peer.actor(wire.DOOR, "door").ref.ask(message, timeout=left)

    async def _session_with(self, name: str, message: object, timeout: float) -> Peer:
        peer = self._open.get(name)
        if peer is not None:
            return peer
        waiting = Pending()
        self._awaited.setdefault(name, []).append(waiting)
        with trio.move_on_after(max(0.0, timeout)):
            return cast("Peer", await waiting.wait())
        known = ", ".join(sorted(self._open)) or "none"
        why = f"no session with it within {timeout:g} s; there is one with: {known}"
        raise NodeUnreachable(name, message, why)


def _call(peer: str, allowed: Mapping[str, str]) -> tuple[str, str]:
    """Endpoint and public key of a peer given as `endpoint` or `name@endpoint`."""
    name, _, endpoint = peer.rpartition("@")
    if not name:
        return endpoint, ""
    for key, owner in allowed.items():
        if owner == name:
            return endpoint, key
    if allowed:
        raise NodeError(f"peer {peer!r}: no key of {name!r} is allowed; add its .pub file")
    return endpoint, ""


def _only(error: Exception) -> Exception:
    """The one error inside groups of one."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
