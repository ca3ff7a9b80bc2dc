"""Nodes: names, paths, and several of them in one process."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from schedule_zero.runtime import (
    Actor,
    BadChildSpec,
    NameTaken,
    Node,
    NodeError,
    NoSuchActor,
    StartFailed,
    Supervisor,
    child,
    supervisor,
)

from .actors import Boom, Crash, Diarist, Diary, Echo, Note, Quit, Recorder


def nested() -> Node:
    inner = supervisor(child("backup", Recorder, []), child("mail", Recorder, []))
    return Node("n", supervisor(child("handlers", Supervisor, inner), child("web", Recorder, [])))


async def test_a_ref_is_found_by_its_path() -> None:
    async with nested() as node:
        ref = node.ref("handlers/backup")
        assert ref.path == "handlers/backup"
        assert await ref.ask(Echo(1)) == 1


async def test_refs_of_one_actor_are_equal() -> None:
    async with nested() as node:
        assert node.ref("web") == node.ref("web")
        assert len({node.ref("web"), node.ref("web"), node.ref("handlers/mail")}) == 2


async def test_no_such_actor_names_the_siblings() -> None:
    async with nested() as node:
        with pytest.raises(NoSuchActor, match=r"backup.*mail") as caught:
            node.ref("handlers/backpu")
        assert isinstance(caught.value, LookupError)


async def test_there_is_nothing_below_a_leaf() -> None:
    async with nested() as node:
        with pytest.raises(NoSuchActor):
            node.ref("web/below")


async def test_an_actor_that_has_ended_has_no_path(autojump_clock: MockClock) -> None:
    async with Node("n") as node:
        (await node.spawn(child("a", Recorder, []))).tell(Quit())
        await trio.sleep(1)
        with pytest.raises(NoSuchActor):
            node.ref("a")


async def test_a_name_is_taken_while_its_actor_lives(autojump_clock: MockClock) -> None:
    async with nested() as node:
        with pytest.raises(NameTaken, match="web"):
            await node.spawn(child("web", Recorder, []))
        spawned = await node.spawn(child("extra", Recorder, []))
        spawned.stop()
        await trio.sleep(1)
        await node.spawn(child("extra", Recorder, []))


@pytest.mark.parametrize("waits", [False, True])
async def test_a_spawn_that_fails_leaves_its_name_free(
    waits: bool, autojump_clock: MockClock
) -> None:
    class Fails(Actor):
        def on_start(self) -> None:
            raise Boom

    class FailsLater(Actor):
        async def on_start(self) -> None:
            await trio.sleep(1)
            raise Boom

    async with Node("n") as node:
        with pytest.raises(StartFailed) as caught:
            await node.spawn(child("a", FailsLater if waits else Fails))
        assert isinstance(caught.value.__cause__, Boom)
        await node.spawn(child("a", Recorder, []))


async def test_a_spawn_waits_for_the_start(autojump_clock: MockClock) -> None:
    class Slow(Recorder):
        async def on_start(self) -> None:
            await trio.sleep(3)

    async with Node("n") as node:
        await node.spawn(Slow, [])
        assert trio.current_time() == pytest.approx(3)


async def test_a_spawned_actor_that_fails_ends_and_the_node_lives(
    autojump_clock: MockClock,
) -> None:
    diary = Diary()
    async with Node("n", supervisor(max_restarts=0)) as node:
        ref = await node.spawn(child("a", Diarist, diary))
        ref.tell(Crash())
        await trio.sleep(1)
        assert ref.is_stopped
        assert diary.take() == ["start a", "stop a"]


async def test_spawned_actors_get_names_of_their_own() -> None:
    async with Node("n") as node:
        names = {(await node.spawn(Recorder, [])).path for _ in range(10)}
    assert len(names) == 10


async def test_mail_sent_before_the_start_is_finished_waits(autojump_clock: MockClock) -> None:
    notes: list[object] = []

    class Slow(Recorder):
        async def on_start(self) -> None:
            await trio.sleep(1)
            notes.append("started")

    async with Node("n") as node, trio.open_nursery() as nursery:
        nursery.start_soon(node.spawn, child("a", Slow, notes))
        await trio.sleep(0.5)
        node.ref("a").tell(Note("early"))
        await trio.sleep(1)
    assert notes == ["started", "early"]


async def test_two_nodes_in_one_process_do_not_meet_but_by_refs(
    autojump_clock: MockClock,
) -> None:
    spec = supervisor(child("a", Recorder, []))
    async with Node("one", spec) as one, Node("two", spec) as two:
        assert one.ref("a") != two.ref("a")
        two.ref("a").tell(Crash())
        assert await two.ref("a").ask(Echo(2)) == 2
        assert two.dead_letters.counts["failed"] == 1
        assert one.dead_letters.counts["failed"] == 0


async def test_one_node_may_end_while_another_goes_on(autojump_clock: MockClock) -> None:
    spec = supervisor(child("a", Recorder, []))
    async with Node("one", spec) as one:
        async with Node("two", spec) as two:
            ref = two.ref("a")
        ref.tell(Note("late"))
        assert two.dead_letters.counts["stopped"] == 1
        assert await one.ref("a").ask(Echo(1)) == 1


async def test_actors_of_two_nodes_ask_each_other(autojump_clock: MockClock) -> None:
    class Asks(Actor):
        def __init__(self, other: Node) -> None:
            self.other = other

        async def on_start(self) -> None:
            assert await self.other.ref("a").ask(Echo("over there")) == "over there"

    async with Node("one", supervisor(child("a", Recorder, []))) as one, Node("two") as two:
        await two.spawn(Asks, one)


def test_a_node_that_does_not_run_says_so() -> None:
    with pytest.raises(NodeError, match="enter it with `async with`"):
        Node("n").ref("a")


async def test_nothing_is_spawned_on_a_node_that_has_ended() -> None:
    async with Node("n") as node:
        pass
    with pytest.raises(NodeError, match="has ended"):
        await node.spawn(Recorder, [])


def test_children_with_one_name_are_refused() -> None:
    with pytest.raises(BadChildSpec, match="named twice: a"):
        supervisor(child("a", Recorder, []), child("a", Recorder, []))


@pytest.mark.parametrize("name", ["", "a/b"])
def test_a_name_that_is_no_word_is_refused(name: str) -> None:
    with pytest.raises(BadChildSpec, match="name"):
        child(name, Recorder, [])


@pytest.mark.parametrize(
    "options", [{"max_restarts": -1}, {"within": 0}, {"strategy": "one_for_none"}]
)
def test_an_impossible_spec_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(BadChildSpec, match=next(iter(options))):
        supervisor(child("a", Recorder, []), **options)  # type: ignore[arg-type]


async def test_a_node_whose_work_is_done_ends_in_order() -> None:
    work = child("work", Recorder, []).options(restart="temporary", significant=True)
    node = Node("n", supervisor(work, auto_shutdown="all_significant"))
    async with node:
        node.ref("work").stop()
        await trio.sleep_forever()
    assert node.is_stopping
