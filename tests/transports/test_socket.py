"""The eight rules of ZeroMQ's edge-triggered file descriptor, each with its test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
import zmq
from trio.testing import wait_all_tasks_blocked

from schedule_zero.transports.socket import Socket

PATIENCE = 10


class Scripted:
    """A socket that answers by a script: of each send, receive and look at EVENTS."""

    closed = False

    def __init__(self, *, sends: list[bool], events: list[int]) -> None:
        self.sent: list[bytes] = []
        self._sends, self._events = sends, events

    def getsockopt(self, option: int) -> int:
        return -1 if option == zmq.FD else self._events.pop(0)

    def send(self, frame: bytes, flags: int) -> None:
        assert flags & zmq.NOBLOCK
        if not self._sends.pop(0):
            raise zmq.Again
        self.sent.append(frame)


class Told:
    """Counts what the owner of a socket is told."""

    def __init__(self) -> None:
        self.readable = self.writable = 0

    def on_readable(self) -> bool:
        self.readable += 1
        return False

    def on_writable(self) -> None:
        self.writable += 1


@contextmanager
def two_sockets(**options: int) -> Iterator[tuple[zmq.Socket[bytes], zmq.Socket[bytes]]]:
    """Two DEALERs with a connection over TCP."""
    with zmq.Context() as context:
        pair = context.socket(zmq.DEALER), context.socket(zmq.DEALER)
        for raw in pair:
            raw.setsockopt(zmq.LINGER, 0)
            for name, value in options.items():
                raw.setsockopt(getattr(zmq, name), value)
        pair[0].bind("tcp://127.0.0.1:0")
        pair[1].connect(pair[0].getsockopt_string(zmq.LAST_ENDPOINT))
        try:
            yield pair
        finally:
            for raw in pair:
                raw.close(linger=0)


def got(socket: Socket) -> list[bytes]:
    """All that a socket has."""
    frames = []
    while (frame := socket.receive()) is not None:
        frames.append(frame.bytes)
    return frames


async def sleep_on(fd: int) -> None:
    """No news, ever."""
    await trio.sleep_forever()


# 1. Try without blocking first


async def test_what_came_before_the_watch_is_told_without_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with two_sockets() as (left, right):
        right.send(b"early")
        while not left.poll(100):
            pass
        told = Told()
        socket = Socket(left, told.on_readable)
        monkeypatch.setattr(trio.lowlevel, "wait_readable", sleep_on)
        with trio.move_on_after(0.05):
            await socket.watch()
        assert told.readable
        assert got(socket) == [b"early"]
        socket.close()


def test_a_send_tries_before_it_looks() -> None:
    raw = Scripted(sends=[True], events=[])
    assert Socket(raw, Told().on_readable).send(b"frame")
    assert raw.sent == [b"frame"]


# 2. When that fails, EVENTS decides


def test_a_failed_send_is_tried_again_if_there_is_room_after_all() -> None:
    raw = Scripted(sends=[False, True], events=[zmq.POLLOUT])
    assert Socket(raw, Told().on_readable).send(b"frame")
    assert raw.sent == [b"frame"]


def test_a_failed_send_is_final_if_events_shows_no_room() -> None:
    raw = Scripted(sends=[False], events=[0])
    assert not Socket(raw, Told().on_readable).send(b"frame")


def test_a_router_with_room_for_others_alone_is_not_tried_for_ever() -> None:
    raw = Scripted(sends=[False] * 3, events=[zmq.POLLOUT] * 3)
    assert not Socket(raw, Told().on_readable).send(b"frame")


# 3. News that one takes in are told to the other


def test_a_failed_send_tells_who_waits_to_read() -> None:
    told = Told()
    raw = Scripted(sends=[False], events=[zmq.POLLIN])
    assert not Socket(raw, told.on_readable).send(b"frame")
    assert told.readable == 1


def test_a_look_tells_both() -> None:
    told = Told()
    raw = Scripted(sends=[], events=[zmq.POLLIN | zmq.POLLOUT])
    Socket(raw, told.on_readable, told.on_writable).look()
    assert (told.readable, told.writable) == (1, 1)


async def test_reading_and_writing_at_once_never_stops_for_an_edge_that_the_other_took() -> None:
    """Queues of two frames, and frames of 50 kB: both sides wait for room again and again."""
    frames = 400
    with (
        trio.fail_after(PATIENCE * 3),
        two_sockets(SNDHWM=2, RCVHWM=2, SNDBUF=8192, RCVBUF=8192) as pair,
    ):
        async with trio.open_nursery() as all_tasks:

            async def both_ways(raw: zmq.Socket[bytes]) -> None:
                room, news = trio.lowlevel.ParkingLot(), trio.lowlevel.ParkingLot()
                socket = Socket(raw, lambda: bool(news.unpark_all()) and False, room.unpark_all)

                async def send() -> None:
                    for _ in range(frames):
                        while not socket.send(b"x" * 50_000):
                            await room.park()
                        socket.look()

                async def receive() -> None:
                    for _ in range(frames):
                        while socket.receive() is None:
                            socket.look()  # for who sends; and this may find news for itself
                            if not raw.getsockopt(zmq.EVENTS) & zmq.POLLIN:
                                await news.park()

                async with trio.open_nursery() as nursery:
                    all_tasks.start_soon(socket.watch)
                    nursery.start_soon(send)
                    nursery.start_soon(receive)

            async with trio.open_nursery() as nursery:
                for raw in pair:
                    nursery.start_soon(both_ways, raw)
            all_tasks.cancel_scope.cancel()


# 4. One task waits for the FD


async def test_a_second_watch_is_refused() -> None:
    with two_sockets() as (left, _):
        socket = Socket(left, Told().on_readable)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(socket.watch)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await socket.watch()
            nursery.cancel_scope.cancel()
        socket.close()


# 5. No checkpoint between taking a message and handing it on


def test_a_message_is_taken_by_a_plain_call_with_no_place_for_a_checkpoint() -> None:
    with two_sockets() as (left, right):
        right.send(b"kept")
        while not left.poll(100):
            pass
        assert got(Socket(left, Told().on_readable)) == [b"kept"]


# 6. Trio hears of the close


async def test_a_watch_ends_quietly_when_its_socket_is_closed() -> None:
    with trio.fail_after(PATIENCE), two_sockets() as (left, _):
        socket = Socket(left, Told().on_readable)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(socket.watch)
            await wait_all_tasks_blocked()
            socket.close()
            socket.close()
        assert socket.is_closed


async def test_a_watch_ends_when_its_owner_closes_the_socket_on_news() -> None:
    with trio.fail_after(PATIENCE), two_sockets() as (left, right):

        def close() -> bool:
            socket.close()
            return True

        socket = Socket(left, close)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(socket.watch)
            right.send(b"the end")


# 7. A close never waits without bound


@pytest.mark.parametrize("linger", [0, 0.2])
async def test_what_cannot_be_sent_holds_up_the_end_for_the_linger_alone(linger: float) -> None:
    with trio.fail_after(PATIENCE):
        context = zmq.Context()
        raw = context.socket(zmq.DEALER)
        raw.connect("tcp://127.0.0.1:1")
        raw.send(b"to nobody")
        since = trio.current_time()
        Socket(raw, Told().on_readable).close(linger)
        assert trio.current_time() - since < 0.1
        await trio.to_thread.run_sync(context.term)
        assert linger - 0.05 <= trio.current_time() - since < linger + 2


# 8. Many messages at a time, up to a cap


async def test_an_owner_that_wants_more_is_called_again_and_lets_others_have_their_turn() -> None:
    with trio.fail_after(PATIENCE), two_sockets() as (left, right):
        taken: list[bytes] = []
        turns = turns_at_end = 0

        def take_five() -> bool:
            nonlocal turns_at_end
            for _ in range(5):
                frame = socket.receive()
                if frame is None:
                    return False
                taken.append(frame.bytes)
            turns_at_end = turns
            return True

        socket = Socket(left, take_five)
        for number in range(100):
            right.send(b"%d" % number)
        await trio.sleep(0.1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(socket.watch)
            while len(taken) < 100:
                turns += 1
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert taken == [b"%d" % number for number in range(100)]
        assert turns_at_end > 5
        socket.close()


def test_a_message_of_several_parts_is_sent_whole() -> None:
    with two_sockets() as (left, right):
        socket = Socket(right, Told().on_readable)
        assert socket.send(b"one", b"two", b"three")
        assert left.recv_multipart() == [b"one", b"two", b"three"]
