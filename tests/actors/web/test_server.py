"""The server as an actor: it starts, crashes, comes back and stops as one."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
import trio

from schedule_zero.actors.errors import ConfigError
from schedule_zero.actors.store import Store
from schedule_zero.actors.web import Reads, Web, actor, check_installed, new_token, server
from schedule_zero.runtime import Node, Restarted, StartFailed, SystemClock
from tests.actors.web.sites import Site, listening, running_site


async def no_store(method: str, /, *args: Any, **kwargs: Any) -> Any:
    raise AssertionError("not asked in these tests")


@asynccontextmanager
async def connected(site: Site) -> AsyncIterator[trio.SocketStream]:
    async with await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
        yield stream


async def read_all(stream: trio.SocketStream) -> bytes:
    """All that comes until the other side closes."""
    with trio.fail_after(2):
        return b"".join([part async for part in stream])


async def is_alive(site: Site) -> bool:
    async with site.stranger() as stranger:
        return (await stranger.get("/api/health")).status_code == 200


async def test_a_crashed_server_comes_back_on_the_same_port(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = trio.Event()
    real_serve = server.serve

    async def fragile(*args: Any, **kwargs: Any) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: real_serve(*args, **kwargs))
            await crash.wait()
            raise OSError("the network card caught fire")

    monkeypatch.setattr(server, "serve", fragile)
    async with running_site(store) as site, site.stranger() as stranger:
        restarted = trio.Event()
        failures: list[Restarted] = []
        site.node.events.subscribe(lambda event: (failures.append(event), restarted.set()))
        await stranger.get("/", params={"token": site.token})
        monkeypatch.setattr(server, "serve", real_serve)
        crash.set()
        with trio.fail_after(5):
            await restarted.wait()
        assert [event.path for event in failures] == ["web"]
        assert "the network card caught fire" in failures[0].failure
        reply = await stranger.get("/api/status")
        assert reply.status_code == 200, "the session outlives the restart"
        assert {each["path"]: each["restarts"] for each in reply.json()["tree"]}["web"] == 1


async def test_a_server_that_ends_by_itself_is_started_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_serve = server.serve
    ends = trio.Event()

    async def brief(*args: Any, **kwargs: Any) -> None:
        kwargs["shutdown_trigger"] = ends.wait
        await real_serve(*args, **kwargs)

    monkeypatch.setattr(server, "serve", brief)
    async with running_site(store) as site:
        restarted = trio.Event()
        site.node.events.subscribe(lambda _: restarted.set())
        monkeypatch.setattr(server, "serve", real_serve)
        ends.set()
        with trio.fail_after(5):
            await restarted.wait()
        assert await is_alive(site)


async def test_a_server_that_cannot_start_fails_the_start(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*args: Any, **kwargs: Any) -> None:
        raise OSError("no more sockets")

    monkeypatch.setattr(server, "serve", broken)
    with listening() as listener:
        async with Node("a") as node:
            reads = Reads(no_store, "a@1", SystemClock().now())
            with pytest.raises(StartFailed, match="no more sockets"):
                await node.spawn(Web, listener, new_token(), reads)


async def test_it_stops_at_once_with_idle_connections_open(store: Store) -> None:
    async with AsyncExitStack() as after:
        async with running_site(store) as site:
            silent = await after.enter_async_context(connected(site))
            idle = await after.enter_async_context(connected(site))
            await idle.send_all(b"GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await is_alive(site)
            begun = trio.current_time()
        assert trio.current_time() - begun < 1
        assert await silent.receive_some() == b""
        assert (await read_all(idle)).startswith(b"HTTP/1.1 200")


async def test_it_stops_within_two_seconds_with_a_request_open(store: Store) -> None:
    ended = []

    async def call_without_end(site: Site) -> None:
        async with connected(site) as stream:
            body = b'{"handler": "echo", "method": "wait", "timeout": 3}'
            await stream.send_all(
                f"POST /api/call HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {site.token}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            while await stream.receive_some():
                pass
            ended.append(trio.current_time())

    async with trio.open_nursery() as nursery, running_site(store) as site:
        nursery.start_soon(call_without_end, site)
        with trio.fail_after(5):
            while not any(run.state == "running" for run in store.list_runs()):
                await trio.sleep(0.01)
        begun = trio.current_time()
    assert ended[0] - begun < 2


async def test_the_listening_socket_stays_its_owners(store: Store) -> None:
    before = _inheritable()
    with listening() as listener:
        async with running_site(store, listener=listener) as site:
            assert await is_alive(site)
        async with running_site(store, listener=listener) as site:
            assert await is_alive(site)
            assert _inheritable() <= before, "no job's child process may hold the port"


def _inheritable() -> set[str]:
    """This process's descriptors that its children would get."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.get_inheritable(int(name)):
                found.add(f"{name}: {os.readlink(f'/proc/self/fd/{name}')}")
    return found


GARBAGE = [
    b"\x00" * 4096,
    b"\r\n\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /%ff%fe%00?%ff=%00 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET http://evil/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /api/call HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/call HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    b"POST /api/call HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /api/call HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nshort",
    b"POST /api/call HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    b"CONNECT evil:443 HTTP/1.1\r\nHost: evil\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 50,
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"HTTP2-Settings: !!!!\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \xe9\xff\r\nCookie: \xff=\xfe\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda garbage: repr(garbage[:40]))
async def test_garbage_from_a_stranger_does_not_end_the_server(site: Site, garbage: bytes) -> None:
    for is_reset in (False, True):
        async with connected(site) as stream:
            if is_reset:
                now = struct.pack("ii", 1, 0)
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            with suppress(trio.BrokenResourceError):
                await stream.send_all(garbage)
                with trio.move_on_after(0.05):
                    await read_all(stream)
        assert await is_alive(site)
    tree = {cell.path: cell.life for cell in site.node.root.tree()}
    assert tree["web"] == 1


def test_the_page_is_loaded_only_when_it_starts() -> None:
    code = (
        "import sys, schedule_zero.actors, schedule_zero.actors.web;"
        "print([name for name in ('litestar', 'hypercorn', 'jinja2') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


async def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_installed()
    monkeypatch.setattr(actor, "find_spec", lambda name: None if name == "litestar" else True)
    with pytest.raises(ConfigError, match=r"litestar.*pip install 'schedule-zero\[web\]'"):
        check_installed()
    with listening() as listener:
        async with Node("a") as node:
            reads = Reads(no_store, "a@1", SystemClock().now())
            with pytest.raises(StartFailed, match=r"schedule-zero\[web\]"):
                await node.spawn(Web, listener, new_token(), reads)
