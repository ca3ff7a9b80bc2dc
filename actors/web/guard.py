"""The guard in front of all routes: who may come in, and the headers that go out. Plain ASGI."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias

from schedule_zero.actors.web.auth import Access, Admit, Enter, Knock, Refuse
from schedule_zero.runtime import Clock

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]


class PageOf(Protocol):
    """Makes a page that says one thing; with `again` it asks for itself once more."""

    def __call__(self, title: str, text: str, *, again: bool = False) -> str:
        """The page's HTML."""


SECURITY: Headers = [
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        b"form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
GONE = "schedule_zero.gone"
"""Set in the scope of a request once its client has gone away."""
NO_STORE = (b"cache-control", b"no-store")

_logger = logging.getLogger("schedule_zero.web")


def error_body(code: int, message: str) -> bytes:
    """The body of every error of the API."""
    return json.dumps({"error": {"code": code, "message": message}}, indent=2).encode()


class Guard:
    """Lets requests through to `app` as `access` decides, and seals every answer."""

    def __init__(self, app: App, access: Access, clock: Clock, page: PageOf) -> None:
        self._app = app
        self._access = access
        self._clock = clock
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                scope[GONE] = True
            return message

        answering = _Answer(send)
        knock = knock_of(scope)
        decision = self._access.decide(knock, self._clock.monotonic())
        try:
            if isinstance(decision, Admit):
                await self._app(scope, receiving, answering)
            elif isinstance(decision, Enter):
                headers = [
                    (b"location", decision.location.encode()),
                    (b"set-cookie", decision.cookie.encode()),
                ]
                await _reply(answering, 303, headers, b"")
            else:
                await self._refuse(decision, knock, scope, answering)
        except Exception:
            _logger.exception("%s %s failed", knock.method, knock.path)
            if not answering.started:  # otherwise the server breaks the answer off
                await _reply_json(answering, 500, "this failed; the node's log says why")

    async def _refuse(self, refusal: Refuse, knock: Knock, scope: Scope, send: Send) -> None:
        if refusal.first:
            _logger.warning("wrong token from %s (%s)", knock.peer, knock.path)
        extra: Headers = []
        if refusal.status == HTTPStatus.UNAUTHORIZED:
            extra.append((b"www-authenticate", b"Bearer"))
        if refusal.retry_after is not None:
            extra.append((b"retry-after", str(refusal.retry_after).encode()))
        if not wants_page(scope):
            await _reply_json(send, refusal.status, refusal.message, extra)
            return
        # A strict cookie is not sent along a link from elsewhere; asked again, it is.
        again = knock.fetch_site == "cross-site" and knock.method == "GET"
        title = HTTPStatus(refusal.status).phrase
        text = self._page(title, refusal.message, again=again)
        extra.append((b"content-type", b"text/html; charset=utf-8"))
        await _reply(send, refusal.status, extra, text.encode())


class _Answer:
    """`send`, with the security headers on every response."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers: Headers = [(bytes(n).lower(), bytes(v)) for n, v in message["headers"]]
            headers += SECURITY
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append(NO_STORE)
            message = {**message, "headers": headers}
        await self._send(message)


def knock_of(scope: Scope) -> Knock:
    """What the scope of a request shows."""
    headers = {bytes(name): bytes(value).decode("latin-1") for name, value in scope["headers"]}
    cookies = [bytes(v).decode("latin-1") for n, v in scope["headers"] if n == b"cookie"]
    client = scope.get("client")
    return Knock(
        method=scope["method"],
        path=scope["path"],
        peer=str(client[0]) if client else "unknown",
        host=headers.get(b"host", headers.get(b":authority", "")),
        scheme=scope.get("scheme", "http"),
        query=bytes(scope.get("query_string", b"")).decode("latin-1"),
        authorization=headers.get(b"authorization"),
        cookies="; ".join(cookies) if cookies else None,
        origin=headers.get(b"origin"),
        fetch_site=headers.get(b"sec-fetch-site"),
    )


def wants_page(scope: Scope) -> bool:
    """Whether a person is to read the answer."""
    headers = {bytes(name): bytes(value) for name, value in scope["headers"]}
    is_api = str(scope["path"]).startswith("/api")
    return not is_api and b"hx-request" not in headers and b"html" in headers.get(b"accept", b"")


async def _reply_json(send: Send, status: int, message: str, extra: Headers | None = None) -> None:
    headers = [*(extra or []), (b"content-type", b"application/json")]
    await _reply(send, status, headers, error_body(status, message))


async def _reply(send: Send, status: int, headers: Headers, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
