"""Who may come in: the answer to what ZeroMQ asks about each connection (ZAP, RFC 27)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import zmq
from zmq.utils import z85

from schedule_zero.transports.seldom import Seldom
from schedule_zero.transports.socket import Socket

UNKNOWN_KEY = "unknown_key"
_ADDRESS = "inproc://zeromq.zap.01"
_A_TIME = 64


class Gate:
    """Lets in the keys that are allowed at that moment; without keys, everyone on this machine.

    A connection's user is its key, not the node's name: a node may have two keys, and each can be
    taken back by itself.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        allowed: Mapping[str, str] | None,
        refused: Counter[str],
        log: Seldom,
    ) -> None:
        self._allowed = allowed
        self._refused = refused
        self._log = log
        raw = context.socket(zmq.ROUTER)
        raw.setsockopt(zmq.LINGER, 0)
        raw.bind(_ADDRESS)
        self.socket = Socket(raw, self._answer_all)

    def _answer_all(self) -> bool:
        for _ in range(_A_TIME):
            parts = []
            while (part := self.socket.receive()) is not None:
                parts.append(part.bytes)
                if not part.more:
                    break
            if not parts:
                return False
            self._answer(parts)
        return True

    def _answer(self, parts: list[bytes]) -> None:
        """Answer one request, which libzmq itself has written: address, request, credentials."""
        asker, empty, version, request, _domain, address, _id, mechanism, *credentials = parts
        user = self._user(mechanism, credentials, address.decode(errors="replace"))
        verdict = (b"400", b"refused", b"") if user is None else (b"200", b"OK", user)
        self.socket.raw.send_multipart([asker, empty, version, request, *verdict, b""], zmq.NOBLOCK)

    def _user(self, mechanism: bytes, credentials: list[bytes], address: str) -> bytes | None:
        if self._allowed is None:
            return b"" if mechanism == b"NULL" else None
        if mechanism != b"CURVE" or len(credentials) != 1:
            return None
        key = z85.encode(credentials[0])
        if key.decode() in self._allowed:
            return key
        self._refused[UNKNOWN_KEY] += 1
        self._log.warn(
            UNKNOWN_KEY,
            f"refused a connection from {address}: the public key {key.decode()} is not allowed",
        )
        return None
