"""Who may come in: tokens, sessions and wrong tries. Pure, but for the making of secrets.

The rules that this file keeps:

1. Only the open paths need nothing. All else needs the token as a bearer, or a session.
2. The token in the page's address opens a session and leaves the address at once.
3. A session is proved by a cookie that is made of the token but does not hold it: it outlives a
   restart of the actor and ends with the token.
4. With a cookie alone, whatever may change something must come from the page itself.
5. Wrong tokens are counted by peer, in bounded memory; too many and the peer is told to wait.
   The right one is let in even then: it cannot be guessed (256 bits), and strangers behind the
   same address, or another page in the owner's browser, must not lock the owner out.
6. A stale session is not a wrong try: open pages go on asking after a restart.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from collections import OrderedDict
from typing import TypeAlias
from urllib.parse import parse_qsl, urlencode

from attrs import frozen

from schedule_zero.actors.errors import ConfigError

OPEN_PATHS = frozenset({"/api/health"})
PAGE = "/"
TRIES, WINDOW, PEERS = 10, 60.0, 1024
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SHORTEST = 16


def new_token() -> str:
    """A token that cannot be guessed, fit for an address."""
    return secrets.token_urlsafe(32)


@frozen
class Knock:
    """What a request shows of itself; an absent header is None."""

    method: str
    path: str
    peer: str
    host: str
    scheme: str = "http"
    query: str = ""
    authorization: str | None = None
    cookies: str | None = None
    origin: str | None = None
    fetch_site: str | None = None


@frozen
class Admit:
    """Go on."""


@frozen
class Enter:
    """Set this cookie and go to this address."""

    cookie: str
    location: str


@frozen
class Refuse:
    """Answer with this status. `first` tells the first wrong try of a peer, which is logged."""

    status: int
    message: str
    retry_after: int | None = None
    first: bool = False


Decision: TypeAlias = Admit | Enter | Refuse

_NO_TOKEN = "this needs the node's token: open the link that the node printed when it started"
_WRONG = "wrong token: use the link that the node printed when it started last"
_FOREIGN = "a change must come from this node's own page; programs use the token as a bearer"


class Wrongs:
    """Wrong tries by peer: `TRIES` in `WINDOW` seconds, of the last `PEERS` peers."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def add(self, peer: str, now: float) -> tuple[int, float]:
        """Count one more; returns how many there were, and the seconds until they are forgotten."""
        since, count = self._seen.pop(peer, (now, 0))
        if now - since >= WINDOW:
            since, count = now, 0
        if len(self._seen) >= PEERS:
            self._seen.popitem(last=False)
        self._seen[peer] = (since, min(count + 1, TRIES + 1))
        return count + 1, since + WINDOW - now


class Access:
    """Decides about each request. `name` is the cookie's, one for each of the host's ports.

    Raises `ConfigError` for a token that could be guessed.
    """

    def __init__(self, token: str, name: str) -> None:
        if len(token) < _SHORTEST:
            raise ConfigError(
                f"the token has {len(token)} characters: expected at least {_SHORTEST}, as "
                "new_token() makes them"
            )
        self._token = token.encode()
        self._name = name
        self._wrongs = Wrongs()

    def decide(self, knock: Knock, now: float) -> Decision:
        """What to do with a request at `now`, in monotonic seconds."""
        if knock.path in OPEN_PATHS:
            return Admit()
        if knock.authorization is not None:
            return Admit() if self._is_bearer(knock.authorization) else self._wrong(knock, now)
        query = parse_qsl(knock.query, keep_blank_values=True)
        shown = [value for key, value in query if key == "token"]
        if shown and knock.path == PAGE and knock.method == "GET":
            if not self._is_token(shown[0]):
                return self._wrong(knock, now)
            rest = urlencode([(key, value) for key, value in query if key != "token"])
            return Enter(self._cookie(knock), f"{PAGE}?{rest}" if rest else PAGE)
        if not any(map(self._is_session, self._sessions(knock.cookies))):
            return Refuse(401, _NO_TOKEN)
        if knock.method not in _SAFE and not _is_same_origin(knock):
            return Refuse(403, _FOREIGN)
        return Admit()

    def _wrong(self, knock: Knock, now: float) -> Refuse:
        count, wait = self._wrongs.add(knock.peer, now)
        if count <= TRIES:
            return Refuse(401, _WRONG, first=count == 1)
        seconds = max(1, math.ceil(wait))
        return Refuse(429, f"too many wrong tokens: wait {seconds} s", retry_after=seconds)

    def _is_bearer(self, authorization: str) -> bool:
        kind, _, token = authorization.partition(" ")
        return kind.lower() == "bearer" and self._is_token(token.strip())

    def _is_token(self, shown: str) -> bool:
        return hmac.compare_digest(shown.encode("utf-8", "replace"), self._token)

    def _cookie(self, knock: Knock) -> str:
        nonce = secrets.token_urlsafe(16)
        secure = "; Secure" if knock.scheme == "https" else ""
        value = f"{nonce}.{self._seal(nonce)}"
        return f"{self._name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}"

    def _sessions(self, cookies: str | None) -> list[str]:
        pairs = (pair.partition("=") for pair in (cookies or "").split(";"))
        return [value.strip() for name, _, value in pairs if name.strip() == self._name]

    def _is_session(self, value: str) -> bool:
        nonce, _, seal = value.partition(".")
        expected = self._seal(nonce)
        return hmac.compare_digest(seal.encode("utf-8", "replace"), expected.encode())

    def _seal(self, nonce: str) -> str:
        text = f"schedule-zero session {nonce}".encode("utf-8", "replace")
        return hmac.new(self._token, text, hashlib.sha256).hexdigest()


def _is_same_origin(knock: Knock) -> bool:
    """Whether the page itself sent this; a browser says so in one of two headers."""
    if knock.fetch_site is not None:
        return knock.fetch_site == "same-origin"
    return knock.origin is not None and knock.origin == f"{knock.scheme}://{knock.host}"
