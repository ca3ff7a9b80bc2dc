"""Who comes and is no peer, and peers that misbehave: refused, counted, and no harm to others."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
import trio
import zmq

from schedule_zero.runtime.chance import Chance
from schedule_zero.transports import KeyPair, Transport, make_key_pair, open_transport
from schedule_zero.transports.zmq import ZmqTransport
from tests.transports.ear import Ear, Pair, pair
from tests.transports.worlds import Curve, Zmq

PATIENCE = 40
ANY = "tcp://127.0.0.1:0"
Condition = Callable[[], bool]


def transport(**options: object) -> object:
    """A transport on ZeroMQ."""
    return open_transport(random=Chance(7).random, **options)


@contextmanager
def stranger(place: str, **options: object) -> Iterator[zmq.Socket[bytes]]:
    """A DEALER that nobody has written for us."""
    context = zmq.Context()
    raw = context.socket(zmq.DEALER)
    raw.setsockopt(zmq.LINGER, 0)
    for name, value in options.items():
        raw.setsockopt(getattr(zmq, name.upper()), value)
    raw.connect(place)
    try:
        yield raw
    finally:
        raw.close(linger=0)
        context.term()


def with_keys(keys: KeyPair, server: str) -> dict[str, bytes]:
    """The options of a DEALER with these keys."""
    return {
        "curve_publickey": keys.public.encode(),
        "curve_secretkey": keys.secret.encode(),
        "curve_serverkey": server.encode(),
    }


async def until(is_so: Condition) -> None:
    """Wait until something is so."""
    while not is_so():
        await trio.sleep(0.01)


async def still_talk(both: Pair) -> None:
    """The link of two that behave is as it was."""
    await both.a.send(both.from_a, b"still here")
    assert await both.ear_b.frame(both.from_b) == b"still here"
    await both.b.send(both.from_b, b"so am I")
    assert await both.ear_a.frame(both.from_a) == b"so am I"
    assert not both.ear_a.heard
    assert not both.ear_b.heard


def address_of(place: str) -> tuple[str, int]:
    return "127.0.0.1", int(place.rpartition(":")[2])


# Strangers

HTTP = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: a browser\r\n\r\n" + b"x" * 200
ZMTP_1 = b"\x01\x00\x06\x00hello\x06\x00hello"
ZMTP_1_AS_2 = b"\xff" + bytes(8) + b"\x7f\x01\x05" + b"\x00\x00" + b"\x00\x05hello"
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16 + 1 + 31)


@pytest.mark.parametrize("world", [Zmq, Curve])
@pytest.mark.parametrize(
    "said",
    [b"", b"\xff" * 500, bytes(500), HTTP, ZMTP_1, ZMTP_1_AS_2, GREETING + b"\xff" * 100],
    ids=["nothing", "ones", "zeros", "http", "zmtp-1", "zmtp-2", "greeting"],
)
async def test_raw_bytes_at_the_port_change_nothing_and_are_counted(
    world: type[Zmq], said: bytes, tmp_path: object
) -> None:
    with trio.fail_after(PATIENCE):
        async with pair(world(tmp_path)) as both:
            for _ in range(3):
                with socket.create_connection(address_of(both.endpoint)) as raw:
                    raw.sendall(said)
                    await trio.sleep(0.05)
            await until(lambda: both.b.refused["handshake"] >= 3)
            await still_talk(both)
            assert both.b.refused == {"handshake": 3}


@pytest.mark.parametrize("world", [Zmq, Curve])
async def test_a_connection_that_says_nothing_is_closed(world: type[Zmq], tmp_path: object) -> None:
    with trio.fail_after(PATIENCE):
        async with pair(world(tmp_path)) as both:
            with socket.create_connection(address_of(both.endpoint)) as raw:
                await until(lambda: both.b.refused["handshake"] == 1)
                raw.settimeout(5)
                while await trio.to_thread.run_sync(raw.recv, 1000):
                    pass
            await still_talk(both)


async def test_many_connections_that_say_nothing_keep_nobody_out() -> None:
    with trio.fail_after(PATIENCE):
        async with transport() as b:
            place = await b.listen(ANY)
            raws = [socket.create_connection(address_of(place)) for _ in range(200)]
            async with transport() as a:
                a.connect(place)
                await a.send(await Ear(a).up(), b"through")
                ear = Ear(b)
                assert await ear.frame(await ear.up()) == b"through"
            for raw in raws:
                raw.close()
            await until(lambda: b.refused["handshake"] == 200)


async def test_a_plain_client_of_a_server_with_keys_is_refused() -> None:
    world = Curve(None)
    with trio.fail_after(PATIENCE):
        async with pair(world) as both:
            with stranger(both.endpoint, probe_router=1) as raw:
                raw.send(b"let me in")
                await until(lambda: both.b.refused["handshake"] >= 1)
                await still_talk(both)
            async with transport() as c:
                c.connect(both.endpoint)
                before = both.b.refused["handshake"]
                await until(lambda: both.b.refused["handshake"] > before)
                await still_talk(both)


async def test_a_client_with_keys_of_a_plain_server_is_refused() -> None:
    keys = make_key_pair()
    with trio.fail_after(PATIENCE):
        async with pair(Zmq(None)) as both:
            with stranger(both.endpoint, **with_keys(keys, make_key_pair().public)) as raw:
                raw.send(b"let me in")
                await until(lambda: both.b.refused["handshake"] >= 1)
            await still_talk(both)


async def test_an_unknown_key_is_refused_and_the_client_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = Curve(None)
    keys = make_key_pair()
    with trio.fail_after(PATIENCE):
        async with pair(world) as both:
            allowed = {world.key("b"): "node b"}
            async with transport(keys=keys, allowed=allowed) as c:
                c.connect(both.endpoint, world.key("b"))
                await until(lambda: both.b.refused["unknown_key"] >= 2)
                await still_talk(both)
            assert set(both.b.refused) == {"unknown_key"}
    assert caplog.text.count(f"the public key {keys.public} is not allowed") == 1
    assert caplog.text.count("it does not allow this node's key") == 1
    assert keys.secret not in caplog.text


async def test_a_server_with_another_key_is_not_talked_to(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = Curve(None)
    with trio.fail_after(PATIENCE):
        async with pair(world) as both, world.open("c") as c:
            c.connect(both.endpoint, world.key("someone else"))
            await until(lambda: both.b.refused["handshake"] >= 2)
            await still_talk(both)
            with trio.move_on_after(0.1):
                await c.receive()
                pytest.fail("a link came up")
    assert "is its key another?" in caplog.text


async def test_a_server_whose_key_is_not_allowed_is_not_connected_to(
    caplog: pytest.LogCaptureFixture,
) -> None:
    a_keys, b_keys = make_key_pair(), make_key_pair()
    a_knows: dict[str, str] = {}
    with trio.fail_after(PATIENCE):
        async with (
            transport(keys=a_keys, allowed=a_knows) as a,
            transport(keys=b_keys, allowed={a_keys.public: "a"}) as b,
        ):
            a.connect(await b.listen(ANY), b_keys.public)
            await until(lambda: a.refused["unknown_key"] >= 2)
            a_knows[b_keys.public] = "b"
            assert (await Ear(a).up()).user == "b"
    assert "not among the allowed ones" in caplog.text


@pytest.mark.parametrize("said", [b"", GREETING, b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 100])
async def test_connecting_to_what_is_no_node_makes_no_link(said: bytes) -> None:
    with trio.fail_after(PATIENCE):
        listener = trio.socket.socket()
        await listener.bind(("127.0.0.1", 0))
        listener.listen(10)
        async with transport() as a:
            a.connect(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
            for _ in range(3):
                peer, _ = await listener.accept()
                await peer.send(said)
                peer.close()
            with trio.move_on_after(0.1):
                await a.receive()
                pytest.fail("a link came up")
        listener.close()


async def test_strangers_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    with trio.fail_after(PATIENCE):
        async with transport() as b:
            place = await b.listen(ANY)
            for _ in range(20):
                socket.create_connection(address_of(place)).close()
            await until(lambda: b.refused["handshake"] == 20)
    assert caplog.text.count("did not become a link") == 1


# Keys taken back


@pytest.mark.parametrize("who", ["a", "b"])
async def test_taking_a_key_back_cuts_the_link_though_nothing_is_said(who: str) -> None:
    world = Curve(None)
    with trio.fail_after(PATIENCE):
        async with pair(world) as both:
            key = world.key("b" if who == "a" else "a")
            mine = both.a if who == "a" else both.b
            name = world.allowed.pop(key)
            reasons = [await both.ear_a.down(both.from_a), await both.ear_b.down(both.from_b)]
            assert "its key is not allowed any more" in " ".join(reasons)
            assert mine.refused["revoked"] == 1
            with trio.move_on_after(0.5):
                await both.ear_a.up()
                pytest.fail("a link came up")
            world.allowed[key] = name
            again = await both.ear_a.up()
            await both.a.send(again, b"let in again")
            assert await both.ear_b.frame(await both.ear_b.up()) == b"let in again"


async def test_no_frame_comes_from_a_key_that_was_taken_back() -> None:
    world = Curve(None)
    with trio.fail_after(PATIENCE):
        async with pair(world) as both:
            del world.allowed[world.key("a")]
            for number in range(10):
                await both.a.send(both.from_a, b"%d" % number)
            assert "not allowed any more" in await both.ear_b.down(both.from_b)
            assert not both.ear_b.heard


async def test_a_key_that_is_another_nodes_now_is_cut_off_and_comes_back_as_that() -> None:
    world = Curve(None)
    with trio.fail_after(PATIENCE):
        async with pair(world) as both:
            world.allowed[world.key("a")] = "another"
            await both.ear_b.down(both.from_b)
            await both.ear_a.down(both.from_a)
            assert (await both.ear_b.up()).user == "another"


# Peers that misbehave


@asynccontextmanager
async def beside_a_stranger(
    **options: object,
) -> AsyncIterator[tuple[Pair, zmq.Socket[bytes]]]:
    """A pair that behaves, and a stranger at the same door that has said a first word."""
    with trio.fail_after(PATIENCE):
        async with pair(Zmq(None), max_frame=100_000) as both:
            with stranger(both.endpoint, **options) as raw:
                yield both, raw
                await still_talk(both)


async def first_word(both: Pair, raw: zmq.Socket[bytes]) -> object:
    raw.send(b"hello")
    link = await both.ear_b.up()
    assert await both.ear_b.frame(link) == b"hello"
    return link


@pytest.mark.parametrize("parts", [2, 100_001])
async def test_a_message_of_several_parts_ends_the_link(parts: int) -> None:
    async with beside_a_stranger() as (both, raw):
        link = await first_word(both, raw)
        raw.send_multipart([b"x"] * parts)
        assert "several parts" in await both.ear_b.down(link)
        raw.send(b"more")
        await until_read(both.b, lambda: both.b.refused["dropped"] == 1)
        assert both.b.refused["multipart"] == 1


async def until_read(transport: Transport, is_so: Condition) -> None:
    """Receive until something is so; no event may come."""
    while not is_so():
        with trio.move_on_after(0.01):
            pytest.fail(f"an event came: {await transport.receive()}")


async def test_a_first_message_of_several_parts_ends_the_link() -> None:
    async with beside_a_stranger() as (both, raw):
        raw.send_multipart([b"x", b"y"])
        link = await both.ear_b.up()
        assert "several parts" in await both.ear_b.down(link)


async def test_a_peer_that_has_chosen_its_routing_id_is_ignored() -> None:
    async with beside_a_stranger(routing_id=b"node-a") as (both, raw):
        for _ in range(10):
            raw.send(b"it is me, node-a")
        await until_read(both.b, lambda: both.b.refused["routing_id"] == 10)


async def test_a_dropped_peer_that_does_not_go_is_ignored_and_counted() -> None:
    async with beside_a_stranger() as (both, raw):
        link = await first_word(both, raw)
        both.b.drop(link, "go away")
        for _ in range(100):
            raw.send(b"no")
        await until_read(both.b, lambda: both.b.refused["dropped"] == 100)
        assert raw.recv_multipart() == [b"", b"go away"]
        assert isinstance(both.b, ZmqTransport)
        assert both.b._door is not None
        assert len(both.b._door._peers) == 2
        await until_read(both.b, lambda: len(both.b._door._peers) == 1)


async def test_a_peer_over_the_limit_is_cut_off() -> None:
    async with beside_a_stranger() as (both, raw):
        link = await first_word(both, raw)
        raw.send(b"x" * 100_001)
        await both.ear_b.down(link)
        assert await first_word(both, raw) is not link  # libzmq's own reconnection


async def test_a_peer_that_takes_nothing_holds_up_nobody_else() -> None:
    async with beside_a_stranger(rcvhwm=1, rcvbuf=4096) as (both, raw):
        link = await first_word(both, raw)
        async with trio.open_nursery() as nursery:

            async def feed() -> None:
                while True:
                    await both.b.send(link, b"x" * 50_000)

            nursery.start_soon(feed)
            await trio.sleep(0.3)
            for _ in range(20):
                await still_talk(both)
            nursery.cancel_scope.cancel()


async def test_a_dropped_peer_that_takes_nothing_is_cut_off() -> None:
    async with beside_a_stranger(rcvhwm=1, rcvbuf=4096) as (both, raw):
        link = await first_word(both, raw)
        with trio.move_on_after(0.5):
            while True:
                await both.b.send(link, b"x" * 50_000)
        both.b.drop(link, "enough")
        assert isinstance(both.b, ZmqTransport)
        assert both.b._door is not None
        await until_read(both.b, lambda: len(both.b._door._peers) == 1)


async def test_a_message_that_never_ends_is_cut_off_before_it_fills_the_memory() -> None:
    """libzmq puts its parts together without a bound, and hands over none before the last."""
    with trio.fail_after(PATIENCE):
        async with pair(Zmq(None), max_frame=100_000) as both:
            with socket.create_connection(address_of(both.endpoint)) as raw:
                raw.sendall(GREETING)
                ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
                raw.sendall(b"\x04" + bytes([len(ready)]) + ready)
                said = b""
                while b"READY" not in said:
                    said += await trio.to_thread.run_sync(raw.recv, 100)
                part = b"\x03" + struct.pack(">Q", 100_000) + b"x" * 100_000

                sent = 0
                with pytest.raises(OSError, match=r"reset|Broken pipe"):
                    while True:
                        raw.sendall(part)
                        sent += len(part)
                        await trio.sleep(0.001)
            assert both.b.refused == {"unfinished": 1}
            assert 10_000_000 < sent < 1_000_000_000
            await still_talk(both)


async def test_a_flood_of_nothing_does_not_hold_up_the_loop() -> None:
    async with beside_a_stranger() as (both, raw):
        link = await first_word(both, raw)
        both.b.drop(link, "go away")

        def flood() -> None:
            for _ in range(20_000):
                raw.send(b"")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, flood)
            for _ in range(50):
                await still_talk(both)


async def test_a_server_that_sends_several_parts_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with trio.fail_after(PATIENCE):
        context = zmq.Context()
        server = context.socket(zmq.ROUTER)
        server.bind("tcp://127.0.0.1:0")
        async with transport() as a:
            a.connect(server.getsockopt_string(zmq.LAST_ENDPOINT))
            ear = Ear(a)
            for message, reason in (
                ([b"x", b"y"], "several parts"),
                ([b"", b"y", b"z"], "several parts"),
                ([b"", b"bye"], "dropped by the other side: bye"),
                ([b"", b"\xff"], "dropped by the other side"),
            ):
                link = await ear.up()
                while not server.poll(0):
                    await trio.sleep(0.01)
                peer, probe = server.recv_multipart()
                assert probe == b""
                server.send_multipart([peer, b"fine"])
                server.send_multipart([peer, *message])
                assert await ear.frame(link) == b"fine"
                assert reason in await ear.down(link)
            assert a.refused == {"multipart": 2}
        server.close(linger=0)
        context.term()
