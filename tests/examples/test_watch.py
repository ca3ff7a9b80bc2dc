"""Watch, on real sockets and a real HTTP server."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from examples.watch import Watch

if TYPE_CHECKING:
    from tests.examples.conftest import FixedClock


class Pages(BaseHTTPRequestHandler):
    """`/ok`, `/broken`, `/moved`, `/endless` (a body that never ends) and `/hangs`."""

    server: Server

    def do_GET(self) -> None:
        if self.path == "/hangs":
            self.server.released.wait()
            return
        status = {"/ok": 200, "/broken": 503, "/moved": 302, "/endless": 200}[self.path]
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()
        while self.path == "/endless" and not self.server.released.wait(0.01):
            try:
                self.wfile.write(b"x" * 1000)
            except OSError:
                return

    def log_message(self, *_: object) -> None:
        """Not on the test's output."""


class Server(ThreadingHTTPServer):
    """An HTTP server of its own threads; `released` ends what hangs."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Pages)
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=partial(running.serve_forever, poll_interval=0.01))
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def watch(make: Callable[[type[Watch]], Watch], tmp_path: Path) -> Callable[..., Any]:
    """Checks, with a history in the test's own folder, and time enough on a busy machine."""
    history = str(tmp_path / "var" / "watch.db")
    return partial(make(Watch).check, history=history, timeout=30.0, slow_after=30.0)


@asynccontextmanager
async def listening(port: int = 0) -> AsyncIterator[int]:
    """A TCP listener that greets nobody; its port."""
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, trio.aclose_forcefully, port, host="127.0.0.1")
        listeners = await nursery.start(serve)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rows(tmp_path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(tmp_path / "var" / "watch.db")) as database:
        return database.execute(query).fetchall()


async def test_a_listening_port_is_up_and_a_closed_one_down(watch: Callable[..., Any]) -> None:
    closed = f"127.0.0.1:{free_port()}"
    async with listening() as port:
        result = await watch(targets=[f"127.0.0.1:{port}", closed, f"http://{closed}/"])

    up, *down = result["targets"]
    assert (result["up"], result["slow"], result["down"]) == (1, 0, 2)
    assert up["state"] == "up"
    assert up["latency"] > 0
    for found in down:
        assert (found["state"], found["latency"]) == ("down", None)
        assert "refused" in found["detail"]


@pytest.mark.parametrize(
    ("path", "state", "detail"),
    [
        ("/ok", "up", "HTTP 200 OK"),
        ("/broken", "down", "HTTP 503 Service Unavailable"),
        ("/moved", "up", "HTTP 302 Found"),
        ("/endless", "up", "HTTP 200 OK"),
    ],
)
async def test_a_page_is_judged_by_its_status(
    watch: Callable[..., Any], server: Server, path: str, state: str, detail: str
) -> None:
    result = await watch(targets=[server.url + path])

    (found,) = result["targets"]
    assert (found["state"], found["detail"]) == (state, detail)


async def test_a_page_that_does_not_answer_in_time_is_down(
    watch: Callable[..., Any], server: Server
) -> None:
    result = await watch(targets=[f"{server.url}/hangs"], timeout=0.2)

    (found,) = result["targets"]
    assert (found["state"], found["detail"]) == ("down", "no answer within 0.2 s")


async def test_an_answer_later_than_slow_after_is_slow(
    watch: Callable[..., Any], server: Server
) -> None:
    result = await watch(targets=[f"{server.url}/ok"], slow_after=1e-9)

    assert (result["slow"], result["targets"][0]["state"]) == (1, "slow")


@pytest.mark.parametrize(
    "target", ["no-such-host.invalid:80", "http://no-such-host.invalid/", f"{'a' * 70}.test:80"]
)
async def test_a_name_that_does_not_resolve_is_down(watch: Callable[..., Any], target: str) -> None:
    result = await watch(targets=[target])

    assert result["down"] == 1
    assert result["targets"][0]["detail"]


async def test_something_that_does_not_speak_http_is_down(watch: Callable[..., Any]) -> None:
    async def babble(stream: trio.SocketStream) -> None:
        await stream.send_all(b"SSH-2.0-OpenSSH_9.9\r\n")
        await stream.receive_some()

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, babble, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        port = listeners[0].socket.getsockname()[1]
        result = await watch(targets=[f"http://127.0.0.1:{port}/"])
        nursery.cancel_scope.cancel()

    assert result["down"] == 1


async def test_a_tls_server_of_unknown_make_is_down(
    watch: Callable[..., Any], server: Server
) -> None:
    result = await watch(targets=[server.url.replace("http://", "https://") + "/ok"])

    assert result["down"] == 1
    assert result["targets"][0]["detail"]


async def test_a_change_is_reported_once_and_its_instant_kept(
    watch: Callable[..., Any], clock: FixedClock, tmp_path: Path
) -> None:
    port = free_port()
    target = f"127.0.0.1:{port}"

    first = await watch(targets=[target])
    went_down = clock.now().isoformat()
    clock.advance(minutes=1)
    still = await watch(targets=[target])
    clock.advance(minutes=1)
    async with listening(port):
        back = await watch(targets=[target])

    assert [first["changed"], still["changed"], back["changed"]] == [[], [], [target]]
    assert [r["targets"][0]["since"] for r in (first, still)] == [went_down, went_down]
    assert back["targets"][0]["since"] == clock.now().isoformat()
    assert rows(tmp_path, "SELECT name, state FROM target") == [(target, "up")]
    states = rows(tmp_path, "SELECT state FROM history ORDER BY id")
    assert states == [("down",), ("down",), ("up",)]


async def test_a_fresh_instance_goes_on_with_the_history(
    make: Callable[[type[Watch]], Watch], clock: FixedClock, tmp_path: Path
) -> None:
    target, history = f"127.0.0.1:{free_port()}", str(tmp_path / "watch.db")
    first = await make(Watch).check(targets=[target], history=history)
    clock.advance(hours=1)
    second = await make(Watch).check(targets=[target], history=history)

    assert first["targets"] == second["targets"]


async def test_the_history_and_the_list_of_targets_are_bounded(
    watch: Callable[..., Any], clock: FixedClock, tmp_path: Path
) -> None:
    async with listening() as port:
        await watch(targets=[f"localhost:{port}"])
        clock.advance(days=31)
        for _ in range(5):
            clock.advance(minutes=1)
            await watch(targets=[f"127.0.0.1:{port}"], keep=3)

    assert rows(tmp_path, "SELECT count(*), min(id) FROM history") == [(3, 4)]
    assert rows(tmp_path, "SELECT name FROM target") == [(f"127.0.0.1:{port}",)]


async def test_no_more_than_at_once_are_checked_together(watch: Callable[..., Any]) -> None:
    connected = most = 0
    are_three = trio.Event()

    async def count(stream: trio.SocketStream) -> None:
        nonlocal connected, most
        connected += 1
        most = max(most, connected)
        if connected == 3:
            are_three.set()
        await stream.receive_some()
        await are_three.wait()
        await trio.testing.wait_all_tasks_blocked(0.01)  # time for a fourth to come
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connected -= 1

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, count, 0, host="127.0.0.1")
        port = (await nursery.start(serve))[0].socket.getsockname()[1]
        pages = [f"http://127.0.0.1:{port}/{number}" for number in range(9)]
        result = await watch(targets=pages, at_once=3)
        nursery.cancel_scope.cancel()

    assert [found["target"] for found in result["targets"]] == pages
    assert (result["up"], most) == (9, 3)


async def test_a_target_named_twice_is_checked_once(watch: Callable[..., Any]) -> None:
    async with listening() as port:
        result = await watch(targets=[f"127.0.0.1:{port}"] * 2)

    assert len(result["targets"]) == 1


async def test_no_targets_is_skipped_quietly(watch: Callable[..., Any], tmp_path: Path) -> None:
    assert await watch(targets=[]) == {"skipped": "there are no targets"}
    assert not (tmp_path / "var").exists()


async def test_a_proxy_of_the_environment_is_not_used(
    watch: Callable[..., Any], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")

    assert (await watch(targets=[f"{server.url}/ok"]))["up"] == 1


@pytest.mark.parametrize(
    "target",
    [
        "",
        "host",
        "host:",
        ":80",
        "host:0",
        "host:70000",
        "host:80/path",
        "a/b:80",
        "ftp://host/",
        "http://",
        "[::1:80",
    ],
)
async def test_a_malformed_target_is_refused_before_anything_is_checked(
    watch: Callable[..., Any], tmp_path: Path, target: str
) -> None:
    with pytest.raises(ValueError, match="expected 'host:port'"):
        await watch(targets=["127.0.0.1:1", target])

    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("name", ["timeout", "slow_after", "at_once", "keep"])
async def test_a_number_that_makes_no_sense_is_refused(
    watch: Callable[..., Any], name: str
) -> None:
    with pytest.raises(ValueError, match=f"^{name}=0"):
        await watch(targets=["127.0.0.1:1"], **{name: 0})


async def test_being_cancelled_is_not_taken_for_a_target_that_is_down(
    watch: Callable[..., Any], server: Server, tmp_path: Path
) -> None:
    with trio.move_on_after(0.1) as scope:
        await watch(targets=[f"{server.url}/hangs"], timeout=30.0)

    assert scope.cancelled_caught
    assert not (tmp_path / "var").exists()
