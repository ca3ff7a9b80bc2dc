"""Where others come in: one ROUTER, and what it tells of each peer.

A ROUTER says neither when a peer comes nor when it goes, and cannot cut one off. So:

1. A link is up at its first frame; our DEALERs send an empty one at once.
2. A peer is gone when the ROUTER refuses to send to it. The monitor's news, and the number of the
   connection's file descriptor, say only when to ask: descriptors are used again.
3. The frames of a peer that is gone are read first, then its link is down.
4. A peer that is dropped is told so, by a message of two parts, and ignored; if it has not gone
   after a second, its connection is cut behind the ROUTER's back.
"""

from __future__ import annotations

from enum import Enum, auto
from itertools import chain, repeat

import trio
import zmq

from schedule_zero.transports.base import Link, LinkDown, LinkUp
from schedule_zero.transports.connections import Connection, Connections
from schedule_zero.transports.errors import LinkLost
from schedule_zero.transports.options import LINGER, QUEUE, router
from schedule_zero.transports.peer import Peer
from schedule_zero.transports.shared import MULTIPART, REVOKED, TOO_LARGE, Shared
from schedule_zero.transports.socket import Socket
from schedule_zero.transports.turns import TURN, Batch

_DROPPED = "dropped"
_ROUTING_ID = "routing_id"
_GONE = "the connection was closed"

_FAREWELL = 1.0
_MADE_BY_ROUTER = 5  # bytes of a routing id that the ROUTER has made up, the first one zero
_PROBES = (0.0, 0.001, 0.01, 0.1, 1.0)
_WAITS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032)


class Sent(Enum):
    """What came of sending to a peer."""

    YES = auto()
    NO_ROOM = auto()
    NOBODY = auto()


class Door:
    """The ROUTER, its peers, and their links."""

    def __init__(self, shared: Shared, nursery: trio.Nursery) -> None:
        self._shared = shared
        self._nursery = nursery
        self._peers: dict[bytes, Peer] = {}
        self._downs: dict[Peer, None] = {}
        self._room = trio.lowlevel.ParkingLot()
        self._is_skipping = False
        self._met = 0
        self._read = 0
        raw = router(shared.context, shared.keys, shared.max_frame)
        self.socket = Socket(raw, self._note, self._make_way)
        self._connections = Connections(shared, self.socket, self._closed)
        nursery.start_soon(self.socket.watch)
        nursery.start_soon(self._connections.monitor.socket.watch)
        nursery.start_soon(self._check_connections)

    def listen(self, endpoint: str) -> str:
        """Let in who comes there; returns where that is. Raises `ZMQError`."""
        self.socket.raw.bind(endpoint)
        place = self.socket.raw.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        scheme, _, rest = place.partition("://")
        self._connections.wires.add(rest if scheme == "ipc" else int(rest.rpartition(":")[2]))
        return place

    def close(self) -> None:
        """Let nobody in any more."""
        self.socket.close(LINGER)
        self._connections.monitor.socket.close()

    # Reading

    def _note(self) -> bool:
        self._shared.turns.note(self)
        return False

    def _make_way(self) -> None:
        if self._room:
            self._room.unpark_all()

    def take(self, batch: Batch) -> bool:
        """Give what has happened to the links of all peers."""
        has_more = self._take_turn(batch)
        if not has_more:
            self._give_downs(batch, has_read_all=True)
        if self._room and not self.socket.is_closed:
            self.socket.look()
        return has_more

    def _take_turn(self, batch: Batch) -> bool:
        for _ in range(TURN):
            if self._downs:
                self._give_downs(batch)
            if batch.is_full:
                return True
            if not self._take_one(batch):
                return False
        return True

    def _take_one(self, batch: Batch) -> bool:
        """Read a message, or a part of one that is refused; False when there is none."""
        if self.socket.is_closed:
            return False
        first = self.socket.receive()
        if first is None:
            return False
        if self._is_skipping:
            self._is_skipping = first.more
            return True
        frame = self.socket.receive()
        assert frame is not None, "a ROUTER gives whole messages"
        self._read += 1
        self._is_skipping = frame.more
        peer = self._peers.get(first.bytes) or self._meet(first.bytes, frame, batch)
        if peer is not None:
            self._take_frame(peer, frame, batch)
        return True

    def _take_frame(self, peer: Peer, frame: zmq.Frame, batch: Batch) -> None:
        shared = self._shared
        key = _said_of(frame, "User-Id") if shared.keys else ""
        if peer.connection is not None:
            peer.connection.read(len(frame))
        if peer.is_refused:
            shared.refused[_DROPPED] += 1
        elif frame.more:
            self.end(peer, shared.refuse(MULTIPART, peer.link))
        elif key != peer.key or not shared.is_allowed(key, peer.link.user):
            self.end(peer, shared.refuse(REVOKED, peer.link))
        elif len(frame) > shared.max_frame:
            self.end(peer, shared.refuse(TOO_LARGE, peer.link))
        elif len(frame) and not peer.is_silent:
            batch.add_frame(peer.link, frame.bytes)

    def _meet(self, routing_id: bytes, frame: zmq.Frame, batch: Batch) -> Peer | None:
        """The first message of a connection."""
        if len(routing_id) != _MADE_BY_ROUTER or routing_id[0]:
            self._shared.refused[_ROUTING_ID] += 1
            return None
        key = _said_of(frame, "User-Id")
        user = self._shared.allowed.get(key, "") if key else ""
        self._met += 1
        address = _said_of(frame, "Peer-Address").removeprefix("::ffff:") or "ipc"
        link = Link(f"{address} #{self._met}", user=user)
        connection = self._connections.meet(int(_said_of(frame, "__fd") or -1))
        self._peers[routing_id] = self._shared.ends[link] = peer = Peer(
            self, link, routing_id, key, connection
        )
        if connection is None:
            self._suspect(peer)
        else:
            if connection.peer is not None:  # one of the two is of an older connection
                self._suspect(connection.peer)
                self._suspect(peer)
            connection.peer = peer
        if key and not user:  # taken back since the handshake
            peer.is_silent = True
            self.end(peer, self._shared.refuse(REVOKED, link))
        else:
            batch.add(LinkUp(link))
        return peer

    # Ends of links

    def end(self, peer: Peer, reason: str) -> None:
        """End the link from this side: it is told so, and what it still sends is ignored."""
        peer.reason = peer.reason or reason
        if not peer.is_refused:
            peer.is_refused = True
            self._nursery.start_soon(self._see_off, peer)
        if peer.is_silent:
            self._shared.ends.pop(peer.link, None)
        else:
            self._downs[peer] = None
            self._note()

    def check_key(self, peer: Peer) -> None:
        """End the link if the peer's key is not allowed any more."""
        if not peer.reason and not self._shared.is_allowed(peer.key, peer.link.user):
            self.end(peer, self._shared.refuse(REVOKED, peer.link))

    async def _see_off(self, peer: Peer) -> None:
        """Tell the peer that its link has ended, and cut it off if it does not go by itself."""
        with trio.move_on_after(_FAREWELL):
            for wait in chain(_WAITS, repeat(_WAITS[-1])):
                if peer.is_gone or self._try(peer, b"", peer.reason.encode()) is not Sent.NO_ROOM:
                    break
                await trio.sleep(wait)
            await trio.sleep_forever()
        if peer.connection is not None and peer.connection.peer is peer:
            self._connections.cut(peer.connection)

    def _closed(self, connection: Connection) -> None:
        if connection.peer is not None:
            self._suspect(connection.peer)

    async def _check_connections(self) -> None:
        while True:
            await trio.sleep(_FAREWELL)
            self.socket.look()
            if not self._shared.turns.has(self):  # so all whole messages were read
                self._connections.cut_the_unfinished()

    def _suspect(self, peer: Peer) -> None:
        if not peer.is_suspect and not peer.is_gone:
            peer.is_suspect = True
            self._nursery.start_soon(self._probe, peer)

    async def _probe(self, peer: Peer) -> None:
        """Find out whether the peer is there, by empty frames."""
        answers = 0
        for wait in chain(_PROBES, repeat(1.0)):
            await trio.sleep(wait)
            if peer.is_gone or self.socket.is_closed:
                return
            answers += self._try(peer, b"") is Sent.YES
            if answers == len(_PROBES):
                break
        peer.is_suspect = False

    def _lose(self, peer: Peer) -> None:
        """The peer is not there any more; what it has sent may be."""
        if not peer.is_gone:
            peer.is_gone = True
            peer.reason = peer.reason or _GONE
            peer.due = self._read + (2 * QUEUE + 1) * (len(self._peers) + 1)
            self._downs[peer] = None
            self._room.unpark_all()
            self._note()

    def _give_downs(self, batch: Batch, *, has_read_all: bool = False) -> None:
        for peer in list(self._downs):
            is_over = peer.is_gone and (has_read_all or self._read >= peer.due)
            if not is_over and not peer.is_refused:
                continue
            if batch.is_full:
                self._note()
                return
            if not peer.is_silent:
                peer.is_silent = True
                batch.add(LinkDown(peer.link, peer.reason))
            self._shared.ends.pop(peer.link, None)
            if is_over or not peer.is_gone:
                del self._downs[peer]
            if is_over:
                self._forget(peer)

    def _forget(self, peer: Peer) -> None:
        del self._peers[peer.routing_id]

    # Sending

    def try_send(self, peer: Peer, frame: bytes) -> bool:
        """Send if there is room at once. Raises `LinkLost`."""
        sent = Sent.NOBODY if peer.reason else self._try(peer, frame)
        if sent is Sent.NOBODY:
            raise LinkLost(peer.link.address, peer.reason)
        return sent is Sent.YES

    async def send(self, peer: Peer, frame: bytes) -> None:
        """Send, trying again for as long as there is no room. Raises `LinkLost`.

        A ROUTER does not say for which peer there is room again: news of any one wakes all, and,
        since such news can be missed, so does a short while.
        """
        for wait in chain(_WAITS, repeat(_WAITS[-1])):
            if self.try_send(peer, frame):
                return
            with trio.move_on_after(wait):
                await self._room.park()

    def _try(self, peer: Peer, *parts: bytes) -> Sent:
        """Send one message; whoever is not there is lost from then on."""
        try:
            is_sent = self.socket.send(peer.routing_id, *parts)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH and not self.socket.is_closed:
                raise
            self._lose(peer)
            return Sent.NOBODY
        if not is_sent:
            return Sent.NO_ROOM
        if not self._shared.turns.has(self):
            self.socket.look()
        return Sent.YES


def _said_of(frame: zmq.Frame, name: str) -> str:
    """A property of the frame's connection."""
    try:
        return str(frame.get(name))
    except zmq.ZMQError:
        return ""
