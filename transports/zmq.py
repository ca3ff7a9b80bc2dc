"""The transport that nodes use: ZeroMQ."""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import trio
import zmq

from schedule_zero.transports.base import MAX_FRAME, Event, Link, Transport
from schedule_zero.transports.curve import KeyPair, check_key
from schedule_zero.transports.door import Door
from schedule_zero.transports.endpoints import Endpoint, Ipc, Tcp, make_room, to_connect, to_listen
from schedule_zero.transports.errors import (
    BadEndpoint,
    BadKey,
    EndpointInUse,
    FrameTooLarge,
    InsecureEndpoint,
    LinkLost,
    TransportError,
)
from schedule_zero.transports.kept import Kept
from schedule_zero.transports.options import context
from schedule_zero.transports.seldom import Seldom
from schedule_zero.transports.shared import Shared
from schedule_zero.transports.zap import Gate

_logger = logging.getLogger("schedule_zero.transports")
_OLDEST = (4, 3, 5)  # before, strangers could crash a CURVE server
_BURST = 64
_KEYS_EVERY = 1.0


@asynccontextmanager
async def zmq_transport(
    *,
    random: Callable[[], float],
    keys: KeyPair | None = None,
    allowed: Mapping[str, str] | None = None,
    max_frame: int = MAX_FRAME,
) -> AsyncIterator[Transport]:
    """A transport over ZeroMQ, until the end of the block.

    With `keys` each link that it lets in is encrypted, and `allowed` (public key -> node name) says
    whose; it is read anew each time: a key that is removed from it is cut off within a second.
    `random` draws from 0 to 1. Raises `TransportError` when libzmq is too old.

    Example::

        async with zmq_transport(random=node.random.random) as transport:
            transport.connect("tcp://127.0.0.1:7401")
            for event in await transport.receive():
                print(event)
    """
    if zmq.zmq_version_info() < _OLDEST:
        raise TransportError(f"libzmq {zmq.zmq_version()} is too old: 4.3.5 is needed")
    if keys is not None and not zmq.has("curve"):
        raise TransportError("this libzmq was built without encryption (CURVE)")
    known = {} if allowed is None else allowed
    shared = Shared(context(), keys, known, max_frame, Seldom(_logger))
    left: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            transport = ZmqTransport(shared, nursery, random)
            try:
                yield transport
            except Exception as error:  # as it is, and not in a group
                left = error
            finally:
                transport.close()
                nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):  # bounded by the sockets' linger
            await trio.to_thread.run_sync(shared.context.destroy, 0)
    if left is not None:
        raise left


class ZmqTransport:
    """The transport over ZeroMQ; made by `zmq_transport`."""

    def __init__(self, shared: Shared, nursery: trio.Nursery, random: Callable[[], float]) -> None:
        self.refused: Counter[str] = shared.refused
        self._shared = shared
        self._nursery = nursery
        self._random = random
        self._kept: dict[str, Kept] = {}
        self._door: Door | None = None
        self._files: list[Path] = []
        self._burst = 0
        keys_known = None if shared.keys is None else shared.allowed
        self._gate = Gate(shared.context, keys_known, shared.refused, shared.log)
        nursery.start_soon(self._gate.socket.watch, name="who may come in")
        if shared.keys is not None:
            nursery.start_soon(self._check_keys, name="whose key is allowed")

    # The contract

    async def listen(self, endpoint: str) -> str:
        """Accept links. Of several endpoints each link is one of the same door's."""
        await trio.lowlevel.checkpoint()
        place = to_listen(endpoint)
        if not place.is_local and self._shared.keys is None:
            raise InsecureEndpoint(endpoint)
        if self._door is None:
            self._door = Door(self._shared, self._nursery)
        return str(self._bind(self._door, endpoint, place))

    def _bind(self, door: Door, endpoint: str, place: Endpoint) -> Endpoint:
        if isinstance(place, Ipc):
            make_room(place)
        try:
            bound = door.listen(str(place))
        except zmq.ZMQError as error:
            if error.errno == errno.EADDRINUSE:
                raise EndpointInUse(endpoint) from error
            raise BadEndpoint(endpoint, f"cannot listen there: {error.strerror}") from error
        if isinstance(place, Tcp):
            return Tcp(place.host, int(bound.rpartition(":")[2]))
        self._files.append(Path(place.path).absolute())
        return place

    def connect(self, endpoint: str, key: str = "") -> None:
        """Keep a link to that endpoint. A link without `key` is plain, on this machine alone."""
        place = to_connect(endpoint)
        if not place.is_local and self._shared.keys is None:
            raise InsecureEndpoint(endpoint)
        if not place.is_local and not key:
            raise InsecureEndpoint(endpoint, "no public key of the node there is given")
        if key and self._shared.keys is None:
            raise BadKey("", "a key of the node there was given, but this one has no keys")
        if key:
            check_key(key)
        kept = self._kept.get(endpoint)
        if kept is not None and kept.key == key:
            return
        self.disconnect(endpoint)
        self._kept[endpoint] = kept = Kept(self._shared, endpoint, place, key, self._random)
        self._nursery.start_soon(kept.run, name=f"link to {endpoint}")

    def disconnect(self, endpoint: str) -> None:
        """End the link to that endpoint, and keep it no longer."""
        kept = self._kept.pop(endpoint, None)
        if kept is not None:
            kept.stop("disconnected")

    def drop(self, link: Link, reason: str) -> None:
        """End a link: no event of it comes any more, and the other end is told."""
        end = self._shared.ends.get(link)
        if end is not None:
            end.drop(reason)

    async def send(self, link: Link, frame: bytes) -> None:
        """Hand over one frame, waiting while the link's queue is full.

        When there is room it returns without a checkpoint, though not for ever: of many calls in a
        row each 64th is one, after its frame was sent.
        """
        if len(frame) > self._shared.max_frame:
            raise FrameTooLarge(len(frame), self._shared.max_frame)
        end = self._shared.ends.get(link)
        if end is None:
            raise LinkLost(link.address, "it has ended")
        if not end.try_send(bytes(frame)):
            await end.send(bytes(frame))
        self._burst += 1
        if self._burst >= _BURST:
            self._burst = 0
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def receive(self) -> list[Event]:
        """What has happened since."""
        return await self._shared.turns.receive()

    # Its own

    def close(self) -> None:
        """End all; what was sent has a moment to go out."""
        for end in list(self._shared.ends.values()):
            end.drop("closed")
        for kept in self._kept.values():
            kept.stop("closed")
        for path in self._files:  # before the close: later it may be another's
            path.unlink(missing_ok=True)
        if self._door is not None:
            self._door.close()
        self._gate.socket.close()

    async def _check_keys(self) -> None:
        """Also a peer that says nothing is cut off when its key is taken back."""
        while True:
            await trio.sleep(_KEYS_EVERY)
            for end in list(self._shared.ends.values()):
                end.check_key()
