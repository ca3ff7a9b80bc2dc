"""Two nodes on the simulated network: what the guide promises, one behaviour a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from schedule_zero.runtime import (
    Actor,
    ActorFailed,
    ActorRef,
    ActorStopped,
    AskTimeout,
    CannotEncode,
    Chance,
    Down,
    MailboxFull,
    MessageRefused,
    Network,
    Node,
    NodeError,
    NodeUnreachable,
    NoSuchActor,
    Request,
    Supervisor,
    UnhandledMessage,
    child,
    handles,
    message,
    supervisor,
)
from schedule_zero.transports.simulated import SimulatedNetwork

from .virtual import run_virtual


@message
class Add:
    amount: int


@message
class Total(Request[int]):
    pass


@message
class Fail(Request[None]):
    pass


@message
class Hold(Request[None]):
    pass


@message
class Unknown:
    pass


@message
class CallBack(Request[str]):
    who: ActorRef


@message
class Anything(Request[object]):
    what: object


class Sum(Actor):
    """Adds up."""

    def __init__(self) -> None:
        self.total = 0

    @handles
    def add(self, msg: Add) -> None:
        self.total += msg.amount

    @handles
    def report(self, msg: Total) -> int:
        return self.total

    @handles
    def fail(self, msg: Fail) -> None:
        raise ValueError("told to")

    @handles
    async def hold(self, msg: Hold) -> None:
        await trio.sleep_forever()

    @handles
    async def call_back(self, msg: CallBack) -> str:
        assert self.context.sender is None
        return f"{msg.who.path} has {await msg.who.ask(Total())}"

    @handles
    def echo(self, msg: Anything) -> object:
        return msg.what


class Watch(Actor):
    """Notes the ends of what it watches; linked to it as well if so told."""

    def __init__(self, ref: ActorRef, ends: list[str], *, links: bool = False) -> None:
        self.ref, self.ends, self.links = ref, ends, links

    def on_start(self) -> None:
        if self.links:
            self.context.link(self.ref)
        else:
            self.context.monitor(self.ref)

    def on_stop(self, reason: object) -> None:
        self.ends.append(str(reason))

    @handles
    def down(self, msg: Down) -> None:
        self.ends.append(f"{msg.ref.path}: {msg.reason}")


class World:
    """The nodes `a`, which listens, and `b`, which calls."""

    def __init__(self) -> None:
        self.network = SimulatedNetwork(Chance(1))

    def network_of(self, name: str, **options: object) -> Network:
        return Network(transport=self.network.transport(name), **options)  # type: ignore[arg-type]

    @asynccontextmanager
    async def a(self, incarnation: int = 1, **options: object) -> AsyncIterator[Node]:
        spec = supervisor(
            child("sum", Sum).options(restart="temporary", capacity=5), child("workers", Supervisor)
        )
        network = self.network_of("a", **options)
        async with Node("a", spec, listen="sim://a", network=network, incarnation=incarnation) as a:
            yield a

    @asynccontextmanager
    async def b(self, **options: object) -> AsyncIterator[Node]:
        network = self.network_of("b", **options)
        async with Node("b", peers=["sim://a"], network=network, incarnation=1) as b:
            yield b

    @asynccontextmanager
    async def both(self) -> AsyncIterator[tuple[Node, Node, ActorRef]]:
        async with self.a() as a, self.b() as b:
            yield a, b, await b.lookup("sum", on="a")


async def there(node: Node, ref: ActorRef) -> ActorRef:
    """The ref that this node has for another's actor."""
    return await node.lookup(ref.path, on=ref._cell.node.name)


def virtually(test: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    """Run a test on virtual time."""

    @wraps(test)
    def run() -> None:
        run_virtual(test, World())

    del run.__wrapped__  # type: ignore[attr-defined]
    return run


@virtually
async def test_messages_arrive_in_order_and_answers_come_back(world: World) -> None:
    async with world.both() as (_, b, ref):
        ref.tell(Add(1))
        ref.tell(Add(2))
        assert await ref.ask(Total()) == 3
        assert ref.path == "sum@a"
        assert ref == await b.lookup("sum", on="a")


@virtually
async def test_every_error_of_an_ask_comes_back_at_once(world: World) -> None:
    async with world.both() as (_, b, ref):
        begun = trio.current_time()
        with pytest.raises(UnhandledMessage):
            await ref.ask(Unknown())  # type: ignore[arg-type]
        with pytest.raises(MessageRefused, match="Expected `int`"):
            await ref.ask(Add("one"))  # type: ignore[arg-type]
        with pytest.raises(CannotEncode, match="neither a @message nor plain data"):
            await ref.ask(Anything({1, 2}))
        with pytest.raises(NoSuchActor, match=r"'nobody'.*siblings are: sum, workers"):
            await b.lookup("nobody", on="a")
        with pytest.raises(ActorFailed, match="told to") as caught:
            await ref.ask(Fail())
        assert "raise ValueError" in caught.value.traceback
        with pytest.raises(ActorStopped):
            await ref.ask(Total())
        assert trio.current_time() - begun < 1.0


@virtually
async def test_an_ask_that_is_not_answered_times_out_and_a_full_mailbox_refuses(
    world: World,
) -> None:
    async with world.both() as (_, _b, ref):
        with pytest.raises(AskTimeout):
            await ref.ask(Hold(), timeout=1.0)
        for _ in range(5):
            ref.tell(Add(1))
        with pytest.raises(MailboxFull):
            await ref.ask(Total())


@virtually
async def test_send_waits_for_room_in_the_mailbox_there(world: World) -> None:
    async with world.both() as (a, _, ref):
        ref.tell(Hold())
        for _ in range(5):
            await ref.send(Add(1))
        with trio.move_on_after(1.0) as scope:
            await ref.send(Add(1))
        assert scope.cancelled_caught
        assert a.dead_letters.counts["mailbox_full"] == 0


@virtually
async def test_a_ref_in_a_message_works_at_the_other_end_and_comes_home(world: World) -> None:
    async with world.both() as (_, b, ref):
        mine = await b.spawn(Sum)
        mine.tell(Add(7))
        assert await ref.ask(CallBack(mine)) == f"{mine.path}@b has 7"
        assert await ref.ask(Anything([mine])) == [mine]
        assert await ref.ask(Anything({"n": (1, Add(2), None)})) == {"n": [1, Add(2), None]}


@virtually
async def test_a_monitor_hears_of_the_end_with_its_reason_once(world: World) -> None:
    ends: list[str] = []
    async with world.both() as (_, b, ref):
        await b.spawn(Watch, ref, ends)
        ref.tell(Fail())
        await trio.sleep(1)
        await b.spawn(Watch, ref, ends)
        await trio.sleep(1)
        assert ends == ["sum@a: failed: RemoteFailure: ValueError: told to", "sum@a: noproc"]


@virtually
async def test_a_link_shares_a_failure_both_ways(world: World) -> None:
    ends: list[str] = []
    async with world.both() as (a, b, ref):
        watch = await b.spawn(Watch, ref, ends, links=True)
        await ref.ask(Total())
        ref.tell(Fail())
        await trio.sleep(1)
        assert watch.is_stopped
        assert "LinkedActorEnded: linked actor 'sum@a' ended" in ends[0]
        other = await a.spawn(Sum)
        watch = await b.spawn(Watch, await there(b, other), ends, links=True)
        await trio.sleep(1)
        watch.stop()
        await trio.sleep(1)
        assert not other.is_stopped


@virtually
async def test_a_cut_ends_what_waits_and_healing_brings_the_refs_back(world: World) -> None:
    ends: list[str] = []
    async with world.both() as (_, b, ref):
        await b.spawn(Watch, ref, ends)
        world.network.partition({"a"}, {"b"})
        begun = trio.current_time()
        with pytest.raises(NodeUnreachable, match="nothing for 4 s"):
            await ref.ask(Total(), timeout=60)
        assert trio.current_time() - begun < 6
        await wait_all_tasks_blocked()
        assert ends == ["sum@a: noconnection"]
        ref.tell(Add(1))
        assert b.dead_letters.counts["no_connection"] == 1
        begun = trio.current_time()
        with pytest.raises(NodeUnreachable):
            await ref.ask(Total())
        assert trio.current_time() == begun
        world.network.heal()
        ref = await b.lookup("sum", on="a", timeout=30)
        assert await ref.ask(Total()) == 0


@virtually
async def test_nothing_sent_to_a_former_life_reaches_the_next(world: World) -> None:
    async with world.b() as b:
        async with world.a(incarnation=1):
            old = await b.lookup("sum", on="a")
        async with world.a(incarnation=2) as a:
            new = await b.lookup("sum", on="a", timeout=30)
            assert old != new
            old.tell(Add(5))
            with pytest.raises((NodeUnreachable, ActorStopped)):
                await old.ask(Total())
            assert old.is_stopped
            assert await new.ask(Total()) == 0
            assert a.network.connected == {"b": 1}


@virtually
async def test_a_goodbye_is_heard_at_once(world: World) -> None:
    async with world.a() as a:
        async with world.b() as b:
            await b.lookup("sum", on="a")
        await trio.sleep(0.1)
        assert a.network.connected == {}


@virtually
async def test_another_node_starts_what_is_offered_and_nothing_else(world: World) -> None:
    async with world.a(offers={"sum": Sum}) as a, world.b() as b:
        ref = await b.spawn_on("a", "workers", "sum", "s-1")
        ref.tell(Add(2))
        assert await ref.ask(Total()) == 2
        assert a.ref("workers/s-1") is not None
        with pytest.raises(MessageRefused, match=r"no 'os.system'"):
            await b.spawn_on("a", "workers", "os.system", "s-2")
        with pytest.raises(ActorFailed, match="s-1"):
            await b.spawn_on("a", "workers", "sum", "s-1")


@virtually
async def test_nodes_of_two_clusters_have_no_session(world: World) -> None:
    async with world.a(cluster="one") as a, world.b(cluster="two") as b:
        with pytest.raises(NodeUnreachable):
            await b.lookup("sum", on="a", timeout=10)
        assert a.network.refused["cluster"] > 0


async def test_a_node_without_network_says_so() -> None:
    async with Node("n") as node:
        with pytest.raises(NodeError, match="give it `listen` or `peers`"):
            await node.lookup("sum", on="other")


@virtually
async def test_large_answers_leave_in_frames_of_their_own_and_too_large_ones_are_refused(
    world: World,
) -> None:
    async with world.both() as (_, _b, ref):
        answers: list[object] = []
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                answers.append(await ref.ask(Anything(bytes(1024 * 1024)), timeout=60))

            for _ in range(5):
                nursery.start_soon(ask)
        assert answers == [bytes(1024 * 1024)] * 5
        with pytest.raises(CannotEncode, match="a frame may have"):
            await ref.ask(Anything(bytes(17 * 1024 * 1024)))


@virtually
async def test_many_bad_messages_are_one_dead_letter(world: World) -> None:
    async with world.both() as (a, _, ref):
        for _ in range(100):
            ref.tell(Add("one"))  # type: ignore[arg-type]
        await trio.sleep(1)
        assert 0 < a.dead_letters.counts["refused"] < 5
        assert await ref.ask(Total()) == 0
