"""The simulated network's own: faults, conditions, and that a seed decides all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from schedule_zero.runtime.chance import Chance
from schedule_zero.transports import BadEndpoint, Event, LinkDown, LinkLost, LinkUp, Received
from schedule_zero.transports.simulated import Conditions, SimulatedNetwork
from tests.runtime.virtual import run_virtual
from tests.transports.ear import Ear, Pair

Test = Callable[[], Awaitable[None]]


@asynccontextmanager
async def met(network: SimulatedNetwork) -> AsyncIterator[Pair]:
    """Hosts `a` and `b` with a link that `a` has made."""
    async with network.transport("a") as a, network.transport("b") as b:
        await b.listen("sim://b")
        a.connect("sim://b")
        both = Pair(a, b, "sim://b")
        await both.meet()
        yield both


def virtual(test: Callable[[SimulatedNetwork], Awaitable[None]]) -> Callable[[], None]:
    """Run a test on virtual time and a calm network."""

    def run() -> None:
        run_virtual(test, SimulatedNetwork(Chance(1)))

    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    return run


# Cuts


@virtual
async def test_a_frame_takes_the_delay_of_its_direction(network: SimulatedNetwork) -> None:
    async with met(network) as both:
        network.set_conditions(Conditions(delay=0.5), "a", "b")
        sent = trio.current_time()
        await both.a.send(both.from_a, b"slow")
        await both.ear_b.frame(both.from_b)
        assert trio.current_time() - sent == pytest.approx(0.5)
        await both.b.send(both.from_b, b"fast")
        await both.ear_a.frame(both.from_a)
        assert trio.current_time() - sent == pytest.approx(0.501)


@virtual
async def test_after_a_short_cut_all_comes_late_and_in_order(network: SimulatedNetwork) -> None:
    async with met(network) as both:
        await both.a.send(both.from_a, b"under way")
        network.cut("a", "b")
        for number in range(10):
            await both.a.send(both.from_a, b"%d" % number)
        await trio.sleep(3.9)
        network.heal()
        await both.a.send(both.from_a, b"after")
        expected = [b"under way", *(b"%d" % number for number in range(10)), b"after"]
        assert await both.ear_b.frames(both.from_b, 12) == expected


@virtual
async def test_a_long_cut_ends_the_link_at_both_ends_and_loses_what_was_under_way(
    network: SimulatedNetwork,
) -> None:
    async with met(network) as both:
        network.partition({"a"}, {"b"})
        since = trio.current_time()
        await both.a.send(both.from_a, b"lost")
        assert "heard nothing" in await both.ear_a.down(both.from_a)
        assert "heard nothing" in await both.ear_b.down(both.from_b)
        assert trio.current_time() - since == pytest.approx(4)
        await trio.sleep(60)
        network.heal()
        outbound = await both.ear_a.up()
        inbound = await both.ear_b.up()
        await both.a.send(outbound, b"anew")
        assert await both.ear_b.frame(inbound) == b"anew"
        assert not both.ear_b.heard
        assert trio.current_time() - since < 70


@pytest.mark.parametrize(("source", "target"), [("a", "b"), ("b", "a")])
def test_a_one_way_cut_ends_the_link_at_both_ends(source: str, target: str) -> None:
    async def main() -> None:
        network = SimulatedNetwork(Chance(1))
        async with met(network) as both:
            since = trio.current_time()
            network.cut(source, target)
            ears = {"a": both.ear_a, "b": both.ear_b}
            links = {"a": both.from_a, "b": both.from_b}
            assert (await ears[target].down(links[target])).startswith("heard nothing")
            reason = await ears[source].down(links[source])
            assert reason.startswith("ended by the other side")
            assert trio.current_time() - since == pytest.approx(4.001)

    run_virtual(main)


@virtual
async def test_a_one_way_cut_lets_the_other_way_through(network: SimulatedNetwork) -> None:
    async with met(network) as both:
        network.cut("a", "b")
        await both.b.send(both.from_b, b"heard")
        assert await both.ear_a.frame(both.from_a) == b"heard"
        await both.a.send(both.from_a, b"not heard")
        with trio.move_on_after(3.9):
            await both.ear_b.frame(both.from_b)
            pytest.fail("it came through")


@virtual
async def test_a_send_that_waits_for_room_learns_of_the_cut(network: SimulatedNetwork) -> None:
    async with met(network) as both:
        network.cut("a", "b")
        with pytest.raises(LinkLost):
            for _ in range(1_000):
                await both.a.send(both.from_a, b"x")
        assert trio.current_time() == pytest.approx(4, abs=0.1)


def test_groups_of_a_partition_may_overlap() -> None:
    network = SimulatedNetwork(Chance(1))
    network.partition({"a", "b", "bridge"}, {"bridge", "c"})
    network.cut("x", "y")

    def reach(source: str, target: str) -> bool:
        return not network.is_cut(source, target)

    assert reach("a", "b")
    assert not reach("a", "c")
    assert not reach("c", "b")
    assert reach("a", "bridge")
    assert reach("bridge", "c")
    assert reach("a", "elsewhere")
    assert reach("elsewhere", "c")
    assert not reach("x", "y")
    assert reach("y", "x")
    network.partition({"a", "c"})
    assert reach("a", "c")
    assert reach("a", "b")
    network.heal()
    assert reach("x", "y")


@virtual
async def test_no_link_is_made_across_a_cut(network: SimulatedNetwork) -> None:
    async with network.transport("a") as a, network.transport("b") as b:
        await b.listen("sim://b")
        network.cut("b", "a")
        a.connect("sim://b")
        with trio.move_on_after(60):
            await a.receive()
            pytest.fail("a link was made")
        network.heal()
        since = trio.current_time()
        await a.receive()
        assert trio.current_time() - since < 5.1


# Crashes


@virtual
async def test_the_peers_of_a_crashed_host_find_out_by_silence(network: SimulatedNetwork) -> None:
    async with met(network) as both:
        since = trio.current_time()
        await both.b.send(both.from_b, b"last words")
        network.crash("b")
        assert await both.ear_a.frame(both.from_a) == b"last words"
        assert "heard nothing" in await both.ear_a.down(both.from_a)
        assert trio.current_time() - since == pytest.approx(4)


@virtual
async def test_the_peers_of_a_killed_process_are_told(network: SimulatedNetwork) -> None:
    async with met(network) as both:
        network.crash("b", reset=True)
        assert await both.ear_a.down(both.from_a) == "connection reset"
        assert trio.current_time() < 0.1


@virtual
async def test_a_crashed_transport_is_dead(network: SimulatedNetwork) -> None:
    async with met(network) as both:
        await both.a.send(both.from_a, b"unheard")
        await trio.sleep(1)
        network.crash("b")
        with pytest.raises(LinkLost):
            await both.b.send(both.from_b, b"x")
        both.b.connect("sim://a")
        both.b.drop(both.from_b, "whatever")
        with trio.move_on_after(60):
            await both.b.receive()
            pytest.fail("a dead host heard something")


@virtual
async def test_a_crashed_host_may_start_again(network: SimulatedNetwork) -> None:
    async with met(network) as both:
        network.crash("b")
        async with network.transport("b") as b:
            await b.listen("sim://b")
            await both.ear_a.down(both.from_a)
            outbound, ear = await both.ear_a.up(), Ear(b)
            await both.a.send(outbound, b"welcome back")
            assert await ear.frame(await ear.up()) == b"welcome back"


@virtual
async def test_a_crash_wakes_what_the_host_was_sending(network: SimulatedNetwork) -> None:
    async with met(network) as both, trio.open_nursery() as nursery:
        network.cut("a", "b")
        lost = trio.Event()

        async def fill() -> None:
            with pytest.raises(LinkLost):
                for _ in range(1_000):
                    await both.a.send(both.from_a, b"x")
            lost.set()

        nursery.start_soon(fill)
        await trio.sleep(1)
        network.crash("a")
        await lost.wait()
        assert trio.current_time() < 2


# Hostile links


async def _talk(network: SimulatedNetwork, count: int) -> list[bytes]:
    async with met(network) as both, trio.open_nursery() as nursery:
        nursery.start_soon(both.ear_b.down, both.from_b)
        for number in range(count):
            await both.a.send(both.from_a, b"%04d" % number)
            await trio.sleep(0.001)
        await trio.sleep(1)
        both.a.disconnect("sim://b")
    return [event.frame for event in both.ear_b.heard if isinstance(event, Received)]


def heard_under(conditions: Conditions) -> tuple[list[bytes], SimulatedNetwork]:
    """What came of 1,000 frames."""
    network = SimulatedNetwork(Chance(5), conditions)
    return run_virtual(_talk, network, 1_000), network


def test_a_calm_link_with_jitter_keeps_the_order() -> None:
    heard, network = heard_under(Conditions(delay=0.01, jitter=0.1))
    assert heard == [b"%04d" % number for number in range(1_000)]
    assert network.counts == {"sent": 1_000}


def test_a_lossy_link_loses_frames_and_keeps_the_order() -> None:
    heard, network = heard_under(Conditions(loss=0.2))
    assert len(heard) == 1_000 - network.counts["lost"]
    assert 100 < network.counts["lost"] < 300
    assert heard == sorted(heard)


def test_a_duplicating_link_gives_frames_twice() -> None:
    heard, network = heard_under(Conditions(duplication=0.2))
    assert len(heard) == 1_000 + network.counts["duplicated"]
    assert 100 < network.counts["duplicated"] < 300
    assert len(dict.fromkeys(heard)) == 1_000


def test_a_reordering_link_gives_all_frames_in_another_order() -> None:
    heard, network = heard_under(Conditions(reordering=0.2))
    assert 100 < network.counts["reordered"] < 300
    assert heard != sorted(heard)
    assert len(heard) == len(dict.fromkeys(heard)) == 1_000


# Names


@virtual
async def test_a_host_listens_under_its_own_name_alone(network: SimulatedNetwork) -> None:
    async with network.transport("a") as a:
        with pytest.raises(BadEndpoint):
            await a.listen("sim://b")
        with pytest.raises(BadEndpoint):
            await a.listen("tcp://127.0.0.1:0")


@virtual
async def test_a_link_has_the_users_of_both_hosts(network: SimulatedNetwork) -> None:
    async with network.transport("a", user="ann") as a, network.transport("b", user="ben") as b:
        await b.listen("sim://b")
        a.connect("sim://b")
        assert (await Ear(a).up()).user == "ben"
        assert (await Ear(b).up()).user == "ann"


# Determinism


async def _storm(seed: int) -> list[tuple[float, str, str]]:
    """Five hosts that all talk, and two faults at work; what each has heard, and when."""
    chance, trace = Chance(seed), []
    hostile = Conditions(delay=0.01, jitter=0.05, loss=0.02, duplication=0.02, reordering=0.05)
    network = SimulatedNetwork(chance, hostile)
    names = [f"n{number}" for number in range(5)]

    async def node(name: str) -> None:
        async with network.transport(name) as transport, trio.open_nursery() as nursery:
            await transport.listen(f"sim://{name}")
            for other in names:
                if other < name:
                    transport.connect(f"sim://{other}")
            while True:
                for event in await transport.receive():
                    trace.append((trio.current_time(), name, _said(event)))
                    if isinstance(event, LinkUp):
                        nursery.start_soon(chatter, transport, event)

    async def chatter(transport: object, event: LinkUp) -> None:
        try:
            for number in range(10_000):
                await transport.send(event.link, b"%d" % number)
                await trio.sleep(chance.random())
        except LinkLost:
            pass

    async def faults(period: float) -> None:
        while True:
            await trio.sleep(period * chance.random())
            if chance.random() < 0.5:
                network.cut(*(names[int(chance.random() * 5)] for _ in range(2)))
            else:
                some = [name for name in names if chance.random() < 0.5]
                network.partition(some, [name for name in names if name not in some])
            await trio.sleep(period * chance.random())
            network.heal()

    with trio.move_on_after(60):
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(node, name)
            nursery.start_soon(faults, 10)
            nursery.start_soon(faults, 7)
    return trace


def _said(event: Event) -> str:
    match event:
        case Received(link, frame):
            return f"{link.address} {frame!r}"
        case LinkDown(link, reason):
            return f"{link.address} down {reason}"
        case LinkUp(link):
            return f"{link.address} up"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_seed_decides_all_that_happens(seed: int) -> None:
    first = run_virtual(_storm, seed, seed=seed)
    assert len(first) > 1_000
    assert any("down" in said for _, _, said in first)
    assert run_virtual(_storm, seed, seed=seed) == first
    assert run_virtual(_storm, seed + 10, seed=seed) != first
