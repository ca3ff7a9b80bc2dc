"""What endpoints say, and which are refused."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from schedule_zero.transports import BadEndpoint, EndpointInUse
from schedule_zero.transports.endpoints import Ipc, Tcp, make_room, parse, to_connect, to_listen


@pytest.mark.parametrize(
    ("text", "endpoint", "is_local"),
    [
        ("tcp://127.0.0.1:7401", Tcp("127.0.0.1", 7401), True),
        ("tcp://127.8.9.1:1", Tcp("127.8.9.1", 1), True),
        ("tcp://localhost:7401", Tcp("127.0.0.1", 7401), True),
        ("tcp://[::1]:7401", Tcp("::1", 7401), True),
        ("tcp://[::ffff:127.0.0.1]:7401", Tcp("::ffff:127.0.0.1", 7401), True),
        ("ipc:///run/a.sock", Ipc("/run/a.sock"), True),
        ("ipc://a.sock", Ipc("a.sock"), True),
        ("tcp://10.0.0.1:65535", Tcp("10.0.0.1", 65535), False),
        ("tcp://0.0.0.0:0", Tcp("0.0.0.0", 0), False),
        ("tcp://*:7401", Tcp("*", 7401), False),
        ("tcp://[::]:7401", Tcp("::", 7401), False),
        ("tcp://[::ffff:10.0.0.1]:1", Tcp("::ffff:10.0.0.1", 1), False),
        ("tcp://[fe80::1%eth0]:7401", Tcp("fe80::1%eth0", 7401), False),
        ("tcp://node-b.example.org:7401", Tcp("node-b.example.org", 7401), False),
        ("tcp://localhost.example.org:7401", Tcp("localhost.example.org", 7401), False),
        ("tcp://node_1:7401", Tcp("node_1", 7401), False),
    ],
)
def test_an_endpoint_says_where_it_is_and_whether_that_is_here(
    text: str, endpoint: Tcp | Ipc, is_local: bool
) -> None:
    assert parse(text) == endpoint
    assert endpoint.is_local is is_local
    assert parse(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tcp",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:x",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:123456",
        "tcp://127.0.0.1:-1",
        "tcp://127.0.0.1:7401/path",
        "tcp://127.0.0.1:7401 ",
        "tcp://user@127.0.0.1:7401",
        "tcp://a:1;b:2",
        "tcp://::1:7401",
        "tcp://[127.0.0.1]:7401",
        "tcp://[::1:7401",
        "tcp://[]:7401",
        "tcp://256.1.1.1:1",
        "tcp://1.2.3:1",
        "tcp://a b:1",
        "tcp://-x:1",
        "TCP://127.0.0.1:1",
        "http://127.0.0.1:80",
        "udp://127.0.0.1:1",
        "inproc://a",
        "sim://a",
        "ipc://",
        "ipc://*",
        "ipc://@abstract",
        "ipc://a\0b",
        "ipc:///" + "x" * 107,
    ],
)
def test_an_endpoint_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(BadEndpoint) as caught:
        parse(text)
    assert caught.value.endpoint == text


@pytest.mark.parametrize(
    "text", ["tcp://127.0.0.1:0", "tcp://*:1", "tcp://0.0.0.0:1", "tcp://[::]:1"]
)
def test_some_are_for_listening_alone(text: str) -> None:
    to_listen(text)
    with pytest.raises(BadEndpoint):
        to_connect(text)


def test_some_are_for_connecting_alone() -> None:
    to_connect("tcp://node.example.org:1")
    with pytest.raises(BadEndpoint):
        to_listen("tcp://node.example.org:1")


def test_a_path_as_long_as_the_kernel_takes_is_fine_and_bytes_count() -> None:
    parse("ipc:///" + "x" * 106)
    with pytest.raises(BadEndpoint, match="108 bytes"):
        parse("ipc:///" + "x" * 105 + "é")


def test_there_is_room_where_nothing_is(tmp_path: Path) -> None:
    make_room(Ipc(f"{tmp_path}/a.sock"))


def test_there_is_room_where_a_dead_process_left_its_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{tmp_path}/a.sock")
    make_room(Ipc(f"{tmp_path}/a.sock"))


def test_a_living_socket_is_in_use(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(f"{tmp_path}/a.sock")
        alive.listen(0)
        for _ in range(3):  # also when its backlog is full
            with pytest.raises(EndpointInUse):
                make_room(Ipc(f"{tmp_path}/a.sock"))


def test_a_file_that_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("precious")
    with pytest.raises(BadEndpoint, match="no socket"):
        make_room(Ipc(f"{tmp_path}/diary.txt"))
    assert (tmp_path / "diary.txt").read_text() == "precious"
    with pytest.raises(BadEndpoint):
        make_room(Ipc(f"{tmp_path}/diary.txt/below"))
