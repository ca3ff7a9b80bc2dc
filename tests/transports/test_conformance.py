"""What every transport promises, run on each of them."""

from __future__ import annotations

import pytest
import trio

from schedule_zero.runtime.chance import Chance
from schedule_zero.transports import (
    BadEndpoint,
    EndpointInUse,
    FrameTooLarge,
    Link,
    LinkDown,
    LinkLost,
    LinkUp,
    Received,
    Transport,
)
from schedule_zero.transports.base import BATCH_BYTES, BATCH_EVENTS
from tests.transports.ear import Ear, pair
from tests.transports.worlds import World, every_world


def numbered(count: int, size: int = 8) -> list[bytes]:
    """Frames that can be told apart."""
    return [b"%08d" % number + b"x" * (size - 8) for number in range(count)]


# Links


@every_world
async def test_a_link_is_up_at_both_ends_before_any_frame(world: World) -> None:
    async with pair(world) as both:
        assert both.from_a.is_outbound
        assert both.from_a.endpoint == both.endpoint
        assert not both.from_b.is_outbound
        assert both.from_a.address
        assert both.from_b.address
        assert both.from_a.user == world.user("b")
        assert both.from_b.user == world.user("a")


@every_world
async def test_frames_come_in_order_both_ways(world: World) -> None:
    async with pair(world) as both:
        there, back = numbered(50), numbered(50)[::-1]
        for frame in there:
            await both.a.send(both.from_a, frame)
        for frame in back:
            await both.b.send(both.from_b, frame)
        assert await both.ear_b.frames(both.from_b, 50) == there
        assert await both.ear_a.frames(both.from_a, 50) == back


@every_world
async def test_either_end_may_speak_first(world: World) -> None:
    async with pair(world) as both:
        await both.b.send(both.from_b, b"hello")
        assert await both.ear_a.frame(both.from_a) == b"hello"


@every_world
async def test_an_empty_frame_does_not_arrive(world: World) -> None:
    async with pair(world) as both:
        for frame in (b"", b"one", b"", b"two"):
            await both.a.send(both.from_a, frame)
            await both.b.send(both.from_b, frame)
        assert await both.ear_b.frames(both.from_b, 2) == [b"one", b"two"]
        assert await both.ear_a.frames(both.from_a, 2) == [b"one", b"two"]


@every_world
async def test_a_frame_goes_to_its_link_alone(world: World) -> None:
    async with pair(world) as both, world.open("c") as c:
        c.connect(both.endpoint, world.key("b"))
        ear_c, to_c = Ear(c), await both.ear_b.up()
        from_c = await ear_c.up()
        for number in range(20):
            await both.b.send(both.from_b, b"to a %d" % number)
            await both.b.send(to_c, b"to c %d" % number)
        assert await both.ear_a.frames(both.from_a, 20) == [b"to a %d" % n for n in range(20)]
        assert await ear_c.frames(from_c, 20) == [b"to c %d" % n for n in range(20)]


@every_world
async def test_two_who_listen_may_have_a_link_each_way(world: World) -> None:
    async with pair(world) as both:
        endpoint = await both.a.listen(world.endpoint("a"))
        both.b.connect(endpoint, world.key("a"))
        second_b, second_a = await both.ear_b.up(), await both.ear_a.up()
        await both.b.send(both.from_b, b"first")
        await both.b.send(second_b, b"second")
        assert await both.ear_a.frame(second_a) == b"second"
        assert await both.ear_a.frame(both.from_a) == b"first"


@every_world
async def test_connecting_twice_makes_one_link(world: World) -> None:
    async with pair(world) as both:
        both.a.connect(both.endpoint, world.key("b"))
        await both.a.send(both.from_a, b"still")
        assert await both.ear_b.frame(both.from_b) == b"still"
        with trio.move_on_after(0.3):
            await both.ear_b.up()
            pytest.fail("a second link came up")


# Their ends


@every_world
async def test_disconnecting_ends_the_link_at_both_ends_for_good(world: World) -> None:
    async with pair(world) as both:
        await both.a.send(both.from_a, b"last words")
        both.a.disconnect(both.endpoint)
        both.a.disconnect(both.endpoint)
        assert await both.ear_b.frame(both.from_b) == b"last words"
        await both.ear_a.down(both.from_a)
        await both.ear_b.down(both.from_b)
        with pytest.raises(LinkLost):
            await both.a.send(both.from_a, b"late")
        with pytest.raises(LinkLost):
            await both.b.send(both.from_b, b"late")
        with trio.move_on_after(0.5):
            await both.ear_b.up()
            pytest.fail("it connected again")
        assert not both.ear_a.heard
        assert not both.ear_b.heard


@every_world
async def test_a_dropped_outbound_link_is_silent_and_made_anew(world: World) -> None:
    async with pair(world) as both:
        await both.b.send(both.from_b, b"unheard")
        both.a.drop(both.from_a, "a test")
        await both.ear_b.down(both.from_b)
        second = await both.ear_a.up()
        assert second is not both.from_a
        assert second.endpoint == both.endpoint
        assert not both.ear_a.of(both.from_a)
        with pytest.raises(LinkLost):
            await both.a.send(both.from_a, b"late")
        await both.a.send(second, b"anew")
        assert await both.ear_b.frame(await both.ear_b.up()) == b"anew"


@every_world
async def test_a_dropped_inbound_link_is_silent_and_the_other_end_connects_again(
    world: World,
) -> None:
    async with pair(world) as both:
        await both.a.send(both.from_a, b"unheard")
        both.b.drop(both.from_b, "a test")
        with pytest.raises(LinkLost):
            await both.b.send(both.from_b, b"late")
        await both.ear_a.down(both.from_a)
        second = await both.ear_a.up()
        await both.a.send(second, b"anew")
        assert await both.ear_b.frame(await both.ear_b.up()) == b"anew"
        assert not both.ear_b.of(both.from_b)
        both.b.drop(both.from_b, "again, which changes nothing")


@every_world
async def test_what_was_sent_before_the_close_arrives_and_then_the_link_is_down(
    world: World,
) -> None:
    async with world.open("b") as b:
        endpoint = await b.listen(world.endpoint("b"))
        async with world.open("a") as a:
            a.connect(endpoint, world.key("b"))
            link = await Ear(a).up()
            for frame in numbered(20):
                await a.send(link, frame)
        ear = Ear(b)
        inbound = await ear.up()
        assert await ear.frames(inbound, 20) == numbered(20)
        assert await ear.down(inbound)


@every_world
async def test_the_listening_end_may_close_first(world: World) -> None:
    async with world.open("a") as a:
        async with world.open("b") as b:
            endpoint = await b.listen(world.endpoint("b"))
            a.connect(endpoint, world.key("b"))
            ear_a, ear_b = Ear(a), Ear(b)
            outbound, inbound = await ear_a.up(), await ear_b.up()
            await b.send(inbound, b"last words")
        assert await ear_a.frame(outbound) == b"last words"
        assert await ear_a.down(outbound)
        with pytest.raises(LinkLost):
            await a.send(outbound, b"late")


@every_world
async def test_a_link_is_made_when_the_other_end_comes_later(world: World) -> None:
    async with world.open("a") as a:
        async with world.open("b") as before:
            endpoint = await before.listen(world.endpoint("b"))
        a.connect(endpoint, world.key("b"))
        with trio.move_on_after(0.3):
            await a.receive()
            pytest.fail("nobody listens there")
        async with world.open("b") as b:
            await b.listen(endpoint)
            link, ear_b = await Ear(a).up(), Ear(b)
            await a.send(link, b"at last")
            assert await ear_b.frame(await ear_b.up()) == b"at last"


@every_world
async def test_a_later_link_carries_nothing_of_the_former(world: World) -> None:
    async with world.open("a") as a:
        endpoint, ear_a = world.endpoint("b"), Ear(a)
        for life in range(3):
            async with world.open("b") as b:
                endpoint = await b.listen(endpoint)
                a.connect(endpoint, world.key("b"))
                outbound, ear_b = await ear_a.up(), Ear(b)
                inbound = await ear_b.up()
                for _ in range(30):
                    await a.send(outbound, b"life %d" % life)
                    await b.send(inbound, b"life %d" % life)
                assert await ear_b.frames(inbound, 5) == [b"life %d" % life] * 5
            await ear_a.down(outbound)
            heard = [event for event in ear_a.heard if isinstance(event, Received)]
            assert {event.frame for event in heard} <= {b"life %d" % life}
            assert all(event.link is outbound for event in heard)
            ear_a.heard.clear()


# Bounds


@every_world
async def test_the_largest_frame_passes_and_a_larger_is_refused(world: World) -> None:
    async with world.open("a", max_frame=70_000) as a, world.open("b", max_frame=70_000) as b:
        a.connect(await b.listen(world.endpoint("b")), world.key("b"))
        ear_a, ear_b = Ear(a), Ear(b)
        outbound, inbound = await ear_a.up(), await ear_b.up()
        for source, link in ((a, outbound), (b, inbound)):
            with pytest.raises(FrameTooLarge) as caught:
                await source.send(link, b"x" * 70_001)
            assert (caught.value.size, caught.value.limit) == (70_001, 70_000)
            await source.send(link, b"x" * 70_000)
        assert len(await ear_b.frame(inbound)) == 70_000
        assert len(await ear_a.frame(outbound)) == 70_000


@every_world
async def test_a_frame_just_over_the_receivers_limit_ends_the_link(world: World) -> None:
    await _send_over_the_limit(world, 10_001)


@every_world
async def test_a_frame_far_over_the_receivers_limit_ends_the_link(world: World) -> None:
    await _send_over_the_limit(world, 50_000)


async def _send_over_the_limit(world: World, size: int) -> None:
    async with pair(world, max_frame=10_000) as both:
        await both.a.send(both.from_a, b"fits")
        await both.a.send(both.from_a, b"x" * size)
        await both.ear_a.down(both.from_a)
        assert await both.ear_b.frame(both.from_b) == b"fits"
        await both.ear_b.down(both.from_b)
        second_a, second_b = await both.ear_a.up(), await both.ear_b.up()
        await both.a.send(second_a, b"fits again")
        assert await both.ear_b.frame(second_b) == b"fits again"


@every_world
async def test_send_waits_while_nobody_receives_and_a_cancelled_send_is_not_sent(
    world: World,
) -> None:
    async with pair(world) as both:
        for sender, link, ear, other in (
            (both.a, both.from_a, both.ear_b, both.from_b),
            (both.b, both.from_b, both.ear_a, both.from_a),
        ):
            sent = 0
            with trio.move_on_after(0.5) as scope:
                for frame in numbered(1_000, 200_000):
                    await sender.send(link, frame)
                    sent += 1
            assert scope.cancelled_caught
            assert 0 < sent < 1_000
            frames = await ear.frames(other, sent)
            assert [frame[:8] for frame in frames] == numbered(sent)
            await sender.send(link, b"after")
            assert await ear.frame(other) == b"after"


@every_world
async def test_a_send_that_waits_learns_that_the_link_has_ended(world: World) -> None:
    async with world.open("a") as a, world.open("b") as b, trio.open_nursery() as nursery:
        endpoint = await b.listen(world.endpoint("b"))
        a.connect(endpoint, world.key("b"))
        link = await Ear(a).up()
        lost = trio.Event()

        async def fill() -> None:
            with pytest.raises(LinkLost):
                for frame in numbered(1_000, 200_000):
                    await a.send(link, frame)
            lost.set()

        nursery.start_soon(fill)
        await trio.sleep(0.3)
        a.disconnect(endpoint)
        await lost.wait()


@every_world
async def test_a_batch_is_bounded_by_events_and_bytes(world: World) -> None:
    async with pair(world) as both, trio.open_nursery() as nursery:

        async def flood() -> None:
            for frame in numbered(2_000, 1_000) + numbered(60, 300_000):
                await both.a.send(both.from_a, frame)

        nursery.start_soon(flood)
        got = 0
        while got < 2_060:
            events = await both.b.receive()
            sizes = [len(event.frame) for event in events if isinstance(event, Received)]
            assert 1 <= len(events) <= BATCH_EVENTS
            assert sum(sizes[:-1]) < BATCH_BYTES
            got += len(sizes)


@every_world
async def test_a_flooding_link_starves_no_other(world: World) -> None:
    async with pair(world) as both, world.open("c") as c, trio.open_nursery() as nursery:
        c.connect(both.endpoint, world.key("b"))
        quiet, from_c = await both.ear_b.up(), await Ear(c).up()

        async def flood() -> None:
            while True:
                await both.a.send(both.from_a, b"x" * 100)
                await trio.lowlevel.checkpoint()

        nursery.start_soon(flood)
        flooded = 0
        while flooded < 1_000:
            flooded += len(await both.b.receive())
        await c.send(from_c, b"here I am")
        await trio.sleep(0.1)
        assert await _is_heard_soon(both.b, quiet)
        nursery.cancel_scope.cancel()


@every_world
async def test_frames_of_a_flooded_host_reach_the_others_too(world: World) -> None:
    """Outbound links have their turns as well."""
    async with pair(world) as both, world.open("c") as c, trio.open_nursery() as nursery:
        endpoint = await c.listen(world.endpoint("c"))
        both.a.connect(endpoint, world.key("c"))
        ear_c = Ear(c)
        to_c, from_c = await both.ear_a.up(), await ear_c.up()

        async def flood() -> None:
            while True:
                await both.b.send(both.from_b, b"x" * 100)
                await trio.lowlevel.checkpoint()

        nursery.start_soon(flood)
        await trio.sleep(0.1)
        await c.send(from_c, b"here I am")
        await trio.sleep(0.1)
        assert await _is_heard_soon(both.a, to_c)
        nursery.cancel_scope.cancel()


async def _is_heard_soon(transport: Transport, link: Link) -> bool:
    for _ in range(4):
        if any(event.link is link for event in await transport.receive()):
            return True
    return False


# Cancellation and load


@every_world
async def test_nothing_is_lost_while_receive_is_cancelled_at_random(world: World) -> None:
    chance = Chance(3)
    async with pair(world) as both, trio.open_nursery() as nursery:

        async def talk() -> None:
            for frame in numbered(2_000):
                await both.a.send(both.from_a, frame)
                if chance.random() < 0.3:
                    await trio.sleep(0.0005 * chance.random())

        nursery.start_soon(talk)
        got: list[bytes] = []
        cancels = 0
        while len(got) < 2_000:
            with trio.move_on_after(0.0005 * chance.random()) as scope:
                events = await both.b.receive()
                got += [event.frame for event in events if isinstance(event, Received)]
            cancels += scope.cancelled_caught
        assert got == numbered(2_000)
        assert cancels > 100


@every_world
async def test_large_frames_both_ways_at_once_do_not_hang(world: World) -> None:
    frames = numbered(300, 50_000)
    async with pair(world) as both, trio.open_nursery() as nursery:

        async def talk(transport: Transport, link: Link) -> None:
            for frame in frames:
                await transport.send(link, frame)

        async def listen(ear: Ear, link: Link) -> None:
            assert await ear.frames(link, len(frames)) == frames

        nursery.start_soon(talk, both.a, both.from_a)
        nursery.start_soon(talk, both.b, both.from_b)
        nursery.start_soon(listen, both.ear_a, both.from_a)
        nursery.start_soon(listen, both.ear_b, both.from_b)


@every_world
async def test_many_tasks_may_send_on_one_link(world: World) -> None:
    async with pair(world) as both, trio.open_nursery() as nursery:

        async def talk(name: int) -> None:
            for number in range(50):
                await both.a.send(both.from_a, b"%d %d" % (name, number) + b"x" * 20_000)

        for name in range(10):
            nursery.start_soon(talk, name)
        frames = [frame.rstrip(b"x") for frame in await both.ear_b.frames(both.from_b, 500)]
        for name in range(10):
            mine = [frame for frame in frames if frame.startswith(b"%d " % name)]
            assert mine == [b"%d %d" % (name, number) for number in range(50)]


@every_world
async def test_receive_gives_other_tasks_their_turn(world: World) -> None:
    async with pair(world) as both:
        turns = 0
        for _ in range(20):
            await both.a.send(both.from_a, b"one")
            await trio.sleep(0.02)
            async with trio.open_nursery() as nursery:
                turn = trio.Event()
                nursery.start_soon(_set, turn)
                assert await both.b.receive()
                turns += turn.is_set()
        assert turns > 3  # trio shuffles: half of them


async def _set(turn: trio.Event) -> None:
    turn.set()


@every_world
async def test_one_task_at_a_time_receives(world: World) -> None:
    async with world.open("a") as a, trio.open_nursery() as nursery:
        nursery.start_soon(a.receive)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await a.receive()
        nursery.cancel_scope.cancel()


# Endpoints


@every_world
async def test_an_endpoint_can_be_listened_at_once(world: World) -> None:
    async with world.open("a") as a:
        endpoint = await a.listen(world.endpoint("a"))
        with pytest.raises(EndpointInUse) as caught:
            await a.listen(endpoint)
        assert caught.value.endpoint == endpoint


@every_world
async def test_endpoints_that_make_no_sense_are_refused(world: World) -> None:
    async with world.open("a") as a:
        for bad in ("", "nonsense", "http://127.0.0.1:80", "udp://127.0.0.1:1", "sim://"):
            with pytest.raises(BadEndpoint) as caught:
                await a.listen(bad)
            assert caught.value.endpoint == bad
            with pytest.raises(BadEndpoint):
                a.connect(bad)
            a.disconnect(bad)


# Order of events


@every_world
async def test_events_of_a_link_are_up_then_frames_then_down(world: World) -> None:
    async with world.open("b") as b:
        endpoint = await b.listen(world.endpoint("b"))
        ear_b = Ear(b)
        for _ in range(5):
            async with world.open("a") as a:
                a.connect(endpoint, world.key("b"))
                link = await Ear(a).up()
                for frame in numbered(50):
                    await a.send(link, frame)
        downs = 0
        while downs < 5:
            events = await b.receive()
            ear_b.heard += events
            downs += sum(isinstance(event, LinkDown) for event in events)
        links = list(dict.fromkeys(event.link for event in ear_b.heard))
        assert len(links) == 5
        for link in links:
            kinds = [type(event) for event in ear_b.of(link)]
            assert kinds == [LinkUp, *[Received] * 50, LinkDown]


@every_world
async def test_an_error_in_the_body_comes_out_as_it_is(world: World) -> None:
    with pytest.raises(KeyError):
        async with world.open("a") as a:
            await a.listen(world.endpoint("a"))
            raise KeyError
