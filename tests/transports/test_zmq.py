"""What is ZeroMQ's own: places to listen, keys, processes that die, and what is left at the end."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trio

from schedule_zero.runtime.chance import Chance
from schedule_zero.transports import (
    BadEndpoint,
    BadKey,
    EndpointInUse,
    InsecureEndpoint,
    LinkLost,
    make_key_pair,
    open_transport,
)
from schedule_zero.transports.zmq import ZmqTransport
from tests.transports.ear import Ear, pair
from tests.transports.worlds import Ipc, Zmq

PATIENCE = 30
ANY = "tcp://127.0.0.1:0"


def transport(**options: object) -> object:
    """A transport on ZeroMQ."""
    return open_transport(random=Chance(7).random, **options)


# Places to listen


async def test_a_free_port_is_taken_and_told() -> None:
    async with transport() as a:
        endpoint = await a.listen(ANY)
        host, _, port = endpoint.rpartition(":")
        assert host == "tcp://127.0.0.1"
        socket.create_connection(("127.0.0.1", int(port))).close()


async def test_a_transport_may_listen_at_several_places(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE):
        async with transport() as a:
            places = [await a.listen(ANY), await a.listen(ANY)]
            places.append(await a.listen(f"ipc://{tmp_path}/a.sock"))
            places.append(await a.listen("tcp://localhost:0"))
            assert len(set(places)) == 4
            ear = Ear(a)
            for place in places:
                async with transport() as b:
                    b.connect(place)
                    await b.send(await Ear(b).up(), place.encode())
                    assert await ear.frame(await ear.up()) == place.encode()


async def test_a_port_of_another_program_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        async with transport() as a:
            with pytest.raises(EndpointInUse):
                await a.listen(place)
            await a.listen(ANY)


async def test_an_address_of_another_machine_cannot_be_listened_at() -> None:
    keys = make_key_pair()
    async with transport(keys=keys) as a:
        with pytest.raises(BadEndpoint, match="cannot listen there"):
            await a.listen("tcp://192.0.2.1:0")


async def test_the_socket_of_a_living_process_is_not_taken_over(tmp_path: Path) -> None:
    place = f"ipc://{tmp_path}/a.sock"
    with trio.fail_after(PATIENCE):
        async with transport() as a, transport() as thief:
            await a.listen(place)
            with pytest.raises(EndpointInUse):
                await thief.listen(place)
            thief.connect(place)
            assert await Ear(a).up()


async def test_the_socket_of_a_dead_process_is(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{tmp_path}/a.sock")
    async with transport() as a:
        await a.listen(f"ipc://{tmp_path}/a.sock")


def files_in(folder: Path) -> list[str]:
    """What is there."""
    return [path.name for path in folder.iterdir()]


async def test_the_socket_file_is_removed_at_the_end(tmp_path: Path) -> None:
    async with transport() as a:
        await a.listen(f"ipc://{tmp_path}/a.sock")
        assert files_in(tmp_path) == ["a.sock"]
    assert not files_in(tmp_path)


# Beyond this machine


@pytest.mark.parametrize(
    "place", ["tcp://0.0.0.0:0", "tcp://*:0", "tcp://[::]:0", "tcp://10.0.0.1:0"]
)
async def test_nobody_listens_beyond_this_machine_without_keys(place: str) -> None:
    async with transport() as a:
        with pytest.raises(InsecureEndpoint, match="schedule-zero keygen"):
            await a.listen(place)


@pytest.mark.parametrize("place", ["tcp://10.0.0.1:7401", "tcp://node.example.org:7401"])
async def test_nobody_connects_beyond_this_machine_without_both_keys(place: str) -> None:
    keys = make_key_pair()
    async with transport() as a:
        with pytest.raises(InsecureEndpoint, match="no keys are set"):
            a.connect(place)
    async with transport(keys=keys) as a:
        with pytest.raises(InsecureEndpoint, match="no public key"):
            a.connect(place)
        with pytest.raises(BadKey):
            a.connect(place, "nonsense")


async def test_a_key_without_keys_of_ones_own_is_refused() -> None:
    async with transport() as a:
        with pytest.raises(BadKey):
            a.connect("tcp://127.0.0.1:7401", make_key_pair().public)


async def test_with_keys_all_addresses_may_be_listened_at() -> None:
    async with transport(keys=make_key_pair()) as a:
        assert (await a.listen("tcp://*:0")).startswith("tcp://*:")


# Names


async def test_a_name_is_tried_at_each_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, allowed = make_key_pair(), {}
    allowed[keys.public] = "both"

    async def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        assert host == "node.example.org"
        return [(0, 0, 0, "", (address, port)) for address in ("127.0.0.99", "127.0.0.1")]

    monkeypatch.setattr(trio.socket, "getaddrinfo", resolve)
    with trio.fail_after(PATIENCE):
        async with transport(keys=keys, allowed=allowed) as a:
            port = (await a.listen("tcp://127.0.0.1:0")).rpartition(":")[2]
            async with transport(keys=keys, allowed=allowed) as b:
                b.connect(f"tcp://node.example.org:{port}", keys.public)
                assert (await Ear(b).up()).user == "both"


async def test_a_name_that_nobody_knows_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keys = make_key_pair()
    tries = trio.Semaphore(0)

    async def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        tries.release()
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(trio.socket, "getaddrinfo", resolve)
    with trio.fail_after(PATIENCE):
        async with transport(keys=keys, allowed={keys.public: "b"}) as a:
            a.connect("tcp://node.example.org:7401", keys.public)
            for _ in range(3):
                await tries.acquire()
    assert caplog.text.count("not known") == 1


# Attempts


async def test_attempts_come_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    sleep = trio.sleep

    async def note(seconds: float) -> None:
        waits.append(seconds)
        await sleep(seconds / 100)

    async with open_transport(random=lambda: 0.5) as a:
        monkeypatch.setattr("schedule_zero.transports.kept.trio.sleep", note)
        a.connect("tcp://127.0.0.1:1")
        with trio.move_on_after(0.5):
            await a.receive()
        monkeypatch.undo()
    expected = [0.075, 0.15, 0.3, 0.6, 1.2, 2.4, 3.75, 3.75]
    assert waits[:8] == pytest.approx(expected[: len(waits)])
    assert len(waits) >= 4


async def test_an_endpoint_with_another_key_is_connected_to_anew() -> None:
    one, other = make_key_pair(), make_key_pair()
    allowed = {one.public: "one", other.public: "other"}
    with trio.fail_after(PATIENCE):
        async with (
            transport(keys=one, allowed=allowed) as a,
            transport(keys=other, allowed=allowed) as b,
        ):
            place = await b.listen(ANY)
            ear = Ear(a)
            a.connect(place, one.public)  # which is not b's
            with trio.move_on_after(0.3):
                await a.receive()
                pytest.fail("it came up with a wrong key")
            a.connect(place, other.public)
            assert (await ear.up()).user == "other"


# Processes that die

_OTHER = """
import sys, trio
from schedule_zero.transports import open_transport, LinkUp, Received

async def main(place):
    async with open_transport(random=lambda: 0.5) as transport:
        if place == "listen":
            print(await transport.listen("tcp://127.0.0.1:0"), flush=True)
        else:
            transport.connect(place)
        while True:
            for event in await transport.receive():
                if isinstance(event, Received):
                    await transport.send(event.link, event.frame)

trio.run(main, sys.argv[1])
"""


class Other:
    """Another process, which says what it is told."""

    def __init__(self, place: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _OTHER, place], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.endpoint = self._process.stdout.readline().strip() if place == "listen" else ""

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def __enter__(self) -> Other:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


@pytest.mark.parametrize("who_listens", ["the other", "we"])
async def test_a_killed_peer_is_noticed_at_once(who_listens: str) -> None:
    with trio.fail_after(PATIENCE):
        async with transport() as a:
            place = "listen" if who_listens == "the other" else await a.listen(ANY)
            with Other(place) as other:
                if other.endpoint:
                    a.connect(other.endpoint)
                ear = Ear(a)
                link = await ear.up()
                await a.send(link, b"alive?")
                assert await ear.frame(link) == b"alive?"
                other.send(signal.SIGKILL)
                since = trio.current_time()
                await ear.down(link)
                assert trio.current_time() - since < 3
                with pytest.raises(LinkLost):
                    await a.send(link, b"alive?")


@pytest.mark.parametrize("who_listens", ["the other", "we"])
async def test_a_peer_that_stands_still_is_noticed_by_its_silence(who_listens: str) -> None:
    with trio.fail_after(PATIENCE):
        async with transport() as a:
            place = "listen" if who_listens == "the other" else await a.listen(ANY)
            with Other(place) as other:
                if other.endpoint:
                    a.connect(other.endpoint)
                ear = Ear(a)
                link = await ear.up()
                other.send(signal.SIGSTOP)
                since = trio.current_time()
                await ear.down(link)
                assert 3 < trio.current_time() - since < 10
                other.send(signal.SIGCONT)


async def test_a_link_is_made_again_after_a_kill() -> None:
    with trio.fail_after(PATIENCE):
        async with transport() as a:
            with Other("listen") as other:
                place = other.endpoint
                a.connect(place)
                ear = Ear(a)
                link = await ear.up()
            await ear.down(link)
            async with transport() as b:
                await b.listen(place)
                assert await ear.up() is not link


# What it costs


def test_zeromq_is_imported_by_who_opens_a_transport_alone() -> None:
    code = "import sys, schedule_zero.transports; sys.exit('zmq' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_sending_in_a_row_lets_others_have_their_turn() -> None:
    """There may be room all the time: the peer takes frames in another thread, libzmq's."""
    with trio.fail_after(PATIENCE):
        async with pair(Zmq(Path())) as both, trio.open_nursery() as nursery:
            turns = 0

            async def count() -> None:
                nonlocal turns
                while True:
                    await trio.lowlevel.checkpoint()
                    turns += 1

            nursery.start_soon(count)
            nursery.start_soon(both.ear_b.frames, both.from_b, 1_000)
            for _ in range(1_000):
                await both.a.send(both.from_a, b"x")
            assert turns >= 10
            nursery.cancel_scope.cancel()


# What is left


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def foreign_threads() -> int:
    """Threads that are not Python's: those of ZeroMQ."""
    return len(os.listdir("/proc/self/task")) - threading.active_count()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux: it has /proc")
@pytest.mark.parametrize("world", [Zmq, Ipc])
async def test_nothing_is_left_of_a_closed_transport(world: type[Zmq], tmp_path: Path) -> None:
    files, threads = open_files(), foreign_threads()
    with trio.fail_after(PATIENCE):
        for _ in range(3):
            async with pair(world(tmp_path)) as both:
                both.a.connect("tcp://127.0.0.1:1")
                await both.a.send(both.from_a, b"unread")
                both.b.drop(both.from_b, "a test")
    for _ in range(100):
        if (open_files(), foreign_threads()) == (files, threads):
            break
        await trio.sleep(0.05)
    assert (open_files(), foreign_threads()) == (files, threads)


async def test_many_links_that_come_and_go_leave_nothing_in_a_living_transport() -> None:
    with trio.fail_after(PATIENCE):
        async with transport() as a:
            assert isinstance(a, ZmqTransport)
            place = await a.listen(ANY)
            ear = Ear(a)
            files = 0
            for _ in range(30):
                async with transport() as b:
                    b.connect(place)
                    await b.send(await Ear(b).up(), b"hello")
                    link = await ear.up()
                    assert await ear.frame(link) == b"hello"
                await ear.down(link)
                files = files or open_files()
            while open_files() > files:
                await trio.sleep(0.05)
            door = a._door
            assert door is not None
            assert not door._peers
            assert not door._connections._open
            assert not door._downs
            assert not a._shared.ends


async def test_a_closed_transport_in_a_cancelled_block_ends_too() -> None:
    with trio.fail_after(PATIENCE), trio.move_on_after(0.2) as scope:
        async with transport() as a:
            await a.listen(ANY)
            a.connect("tcp://127.0.0.1:1")
            await a.receive()
    assert scope.cancelled_caught
