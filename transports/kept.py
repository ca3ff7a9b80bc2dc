"""An endpoint that a link is kept to: made, and made again after each loss."""

from __future__ import annotations

from collections.abc import Callable

import trio
import zmq

from schedule_zero.transports.backoff import Backoff
from schedule_zero.transports.base import Link
from schedule_zero.transports.endpoints import Endpoint, Tcp
from schedule_zero.transports.outbound import Outbound
from schedule_zero.transports.shared import Shared
from schedule_zero.transports.zap import UNKNOWN_KEY


class Kept:
    """Keeps a link to one endpoint until it is stopped."""

    def __init__(
        self,
        shared: Shared,
        name: str,
        endpoint: Endpoint,
        key: str,
        random: Callable[[], float],
    ) -> None:
        self.key = key
        self._shared = shared
        self._name = name
        self._kind = f"connect {name}"
        self._endpoint = endpoint
        self._backoff = Backoff(random)
        self._attempts = 0
        self._scope = trio.CancelScope()
        self._current: Outbound | None = None

    async def run(self) -> None:
        """Connect, again and again."""
        with self._scope:
            while True:
                since = trio.current_time()
                try:
                    outbound = await self._attempt()
                except (OSError, zmq.ZMQError) as error:  # no such name; too many open files
                    self._tell(str(error))
                else:
                    if outbound is not None and outbound.is_up:
                        self._backoff.lived(trio.current_time() - since)
                        self._shared.log.forget(self._kind)
                    elif outbound is not None:
                        self._tell(outbound.reason)
                await trio.sleep(self._backoff.next())

    def stop(self, reason: str) -> None:
        """Keep it no longer; a link that there is goes down."""
        self._shared.log.forget(self._kind)
        self._scope.cancel()
        if self._current is not None:
            self._current.end(reason)

    async def _attempt(self) -> Outbound | None:
        """One connection, to its end; None if it was not tried. Raises `OSError`, `ZMQError`."""
        user = self._shared.allowed.get(self.key, "")
        if self.key and not user:
            self._shared.refused[UNKNOWN_KEY] += 1
            self._tell(f"its public key {self.key} is not among the allowed ones")
            return None
        address = await self._resolve()
        link = Link(self._name, user=user, endpoint=self._name)
        self._current = outbound = Outbound(self._shared, link, self.key)
        try:
            await outbound.live(address)
        finally:
            self._current = None
        return outbound

    async def _resolve(self) -> str:
        """The address to try now: of a name with several, each in its turn.

        libzmq would resolve the name in its I/O thread, where all connections wait for it.
        """
        endpoint = self._endpoint
        if not isinstance(endpoint, Tcp) or endpoint.address is not None:
            return str(endpoint)
        found = await trio.socket.getaddrinfo(
            endpoint.host, endpoint.port, type=trio.socket.SOCK_STREAM
        )
        host = found[self._attempts % len(found)][4][0]
        self._attempts += 1
        return str(Tcp(str(host), endpoint.port))

    def _tell(self, reason: str) -> None:
        self._shared.log.warn(self._kind, f"no link to {self._name}: {reason}")
