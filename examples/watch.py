"""Watch: check whether servers answer, and remember since when they do or do not."""

from __future__ import annotations

import sqlite3
import ssl
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import trio
from attrs import evolve, frozen

from schedule_zero.actors import Handler, every

DEFAULT_TARGETS = ("http://127.0.0.1:8888/api/health",)
_FORGET_AFTER = timedelta(days=30)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS target (
    name TEXT PRIMARY KEY, state TEXT NOT NULL, since TEXT NOT NULL, checked_at TEXT NOT NULL,
    latency REAL, detail TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS history (
    id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, at TEXT NOT NULL,
    state TEXT NOT NULL, latency REAL, detail TEXT NOT NULL);
"""

Probe = Callable[[], Awaitable[str]]


@frozen
class Finding:
    """What one check of one target found. `latency` is in seconds; none if it is down."""

    target: str
    state: str
    latency: float | None
    detail: str
    since: str = ""
    changed: bool = False

    def as_plain(self) -> dict[str, object]:
        """The finding as plain data."""
        return {
            "target": self.target,
            "state": self.state,
            "latency": self.latency,
            "detail": self.detail,
            "since": self.since,
            "changed": self.changed,
        }


class Down(Exception):
    """The target answered, and what it said means that it is down."""


class Watch(Handler):
    """Watches TCP ports and web pages."""

    def __init__(self) -> None:
        self._certificates: ssl.SSLContext | None = None

    @every(minutes=1, overlap="skip", timeout=120.0)
    async def check(
        self,
        targets: list[str] | None = None,
        timeout: float = 5.0,
        slow_after: float = 1.0,
        at_once: int = 20,
        history: str = "var/watch.db",
        keep: int = 10_000,
    ) -> dict[str, object]:
        """Check every target once, `at_once` at a time, and record what was found.

        A target is `"host:port"` (does it accept a connection?) or a URL (is the status of a GET
        below 400? redirects are not followed). Without any, the node's own health page. It is
        `up`, `slow` (the answer took more than `slow_after` seconds) or `down` (no answer within
        `timeout` seconds, or a bad one).

        `history` is an SQLite file of two tables: `target`, the present state of each and since
        when, and `history`, the newest `keep` checks.

        Returns `up`, `slow`, `down` (counts), `changed` (names) and `targets` (findings). Raises
        `ValueError` for arguments that make no sense; a target that is down is a result.
        """
        names = list(dict.fromkeys(DEFAULT_TARGETS if targets is None else targets))
        _check(names, timeout, slow_after, at_once, keep)
        if not names:
            return {"skipped": "there are no targets"}
        found = await self._probe_all(names, timeout, slow_after, at_once)
        now = self.context.node.clock.now()
        found = await trio.to_thread.run_sync(partial(_record, Path(history), found, now, keep))
        states = [finding.state for finding in found]
        return {
            **{state: states.count(state) for state in ("up", "slow", "down")},
            "changed": [finding.target for finding in found if finding.changed],
            "targets": [finding.as_plain() for finding in found],
        }

    async def _probe_all(
        self, names: list[str], limit: float, slow_after: float, at_once: int
    ) -> list[Finding]:
        """The findings, in the order of the names."""
        found: dict[str, Finding] = {}
        room = trio.CapacityLimiter(at_once)
        async with await self._client(names) as client, trio.open_nursery() as nursery:

            async def probe(name: str) -> None:
                async with room:  # before the clock starts: waiting for room is not latency
                    asked = partial(_get, client, name) if "://" in name else partial(_dial, name)
                    found[name] = await _measure(name, asked, limit, slow_after)

            for name in names:
                nursery.start_soon(probe, name)
        return [found[name] for name in names]

    async def _client(self, names: list[str]) -> httpx.AsyncClient:
        verify: ssl.SSLContext | bool = False  # of no account as long as no target is https
        if any(name.startswith("https://") for name in names):
            if self._certificates is None:  # reading them takes some 20 ms: not in the loop
                self._certificates = await trio.to_thread.run_sync(httpx.create_ssl_context)
            verify = self._certificates
        # Not through a proxy of the environment, or we would watch the proxy. No limits of the
        # client's own: `_measure` sets the time, `at_once` the number.
        return httpx.AsyncClient(verify=verify, trust_env=False, timeout=None)


async def _measure(name: str, asked: Probe, limit: float, slow_after: float) -> Finding:
    started = trio.current_time()
    with trio.move_on_after(limit) as scope:
        try:
            detail = await asked()
        except (OSError, UnicodeError, httpx.HTTPError, httpx.InvalidURL, Down) as error:
            return Finding(name, "down", None, _reason(error))
    if scope.cancelled_caught:
        return Finding(name, "down", None, f"no answer within {limit:g} s")
    latency = round(trio.current_time() - started, 6)
    return Finding(name, "slow" if latency > slow_after else "up", latency, detail)


async def _dial(target: str) -> str:
    host, port = _address(target)
    stream = await trio.open_tcp_stream(host, port)
    await stream.aclose()
    return "accepts connections"


async def _get(client: httpx.AsyncClient, url: str) -> str:
    async with client.stream("GET", url) as answer:  # the body is not read: it may have no end
        status = f"HTTP {answer.status_code} {answer.reason_phrase}".rstrip()
        if answer.status_code >= 400:
            raise Down(status)
        return status


def _reason(error: BaseException) -> str:
    """The innermost cause in words: "all attempts to connect failed" helps nobody."""
    cause: BaseException | None = error
    while cause is not None:
        innermost = cause
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        else:
            cause = cause.__cause__ or cause.__context__
    return str(innermost) or str(error) or type(innermost).__name__


def _check(names: list[str], limit: float, slow_after: float, at_once: int, keep: int) -> None:
    for name in names:
        if "://" not in name:
            _address(name)
        elif not name.startswith(("http://", "https://")) or not urlsplit(name).hostname:
            raise ValueError(f"target {name!r}: expected 'host:port' or 'http://host/path'")
    numbers = {"timeout": limit, "slow_after": slow_after, "at_once": at_once, "keep": keep}
    for what, number in numbers.items():
        if not number > 0:
            raise ValueError(f"{what}={number}: expected more than 0")


def _address(target: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{target}")
        host, port = parts.hostname, parts.port
    except ValueError:  # an impossible port, or half an IPv6 address
        host = port = None
    if not host or not port or parts.netloc != target:
        raise ValueError(f"target {target!r}: expected 'host:port', such as 'localhost:5432'")
    return host, port


def _record(path: Path, found: list[Finding], now: datetime, keep: int) -> list[Finding]:
    """Write the findings down in one transaction; returns them with `since` and `changed`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=10.0, isolation_level=None)) as database:
        database.executescript(_SCHEMA)
        database.execute("BEGIN IMMEDIATE")
        known = dict(_states(database))
        dated = [_dated(finding, known.get(finding.target), now) for finding in found]
        database.executemany(
            "REPLACE INTO target (name, state, since, checked_at, latency, detail)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [(f.target, f.state, f.since, now.isoformat(), f.latency, f.detail) for f in dated],
        )
        database.executemany(
            "INSERT INTO history (target, at, state, latency, detail) VALUES (?, ?, ?, ?, ?)",
            [(f.target, now.isoformat(), f.state, f.latency, f.detail) for f in dated],
        )
        database.execute(
            "DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - ?", (keep,)
        )
        # Targets that nobody asks about any more; the file is bounded, whatever is asked.
        forgotten = (now - _FORGET_AFTER).isoformat()
        database.execute("DELETE FROM target WHERE checked_at < ?", (forgotten,))
        database.execute("COMMIT")
    return dated


def _states(database: sqlite3.Connection) -> list[tuple[str, tuple[str, str]]]:
    rows = database.execute("SELECT name, state, since FROM target").fetchall()
    return [(name, (state, since)) for name, state, since in rows]


def _dated(finding: Finding, before: tuple[str, str] | None, now: datetime) -> Finding:
    if before is not None and before[0] == finding.state:
        return evolve(finding, since=before[1])
    return evolve(finding, since=now.isoformat(), changed=before is not None)
