"""Links: the failure of one is the failure of the other, a normal end harms nobody."""

from __future__ import annotations

import pytest
import trio

from schedule_zero.runtime import (
    Actor,
    ActorRef,
    Node,
    Reason,
    child,
    handles,
    message,
    resume,
    supervisor,
    suspend,
)


@message
class Join:
    ref: ActorRef


@message
class Part:
    ref: ActorRef


@message
class Fail:
    pass


@message
class Wait:
    pass


class Partner(Actor):
    """Links when told to, and notes how it ended."""

    def __init__(self, ends: list[tuple[str, str]]) -> None:
        self.ends = ends

    @handles
    def join(self, msg: Join) -> None:
        self.context.link(msg.ref)

    @handles
    def part(self, msg: Part) -> None:
        self.context.unlink(msg.ref)

    @handles
    def fail(self, msg: Fail) -> None:
        raise ValueError("on purpose")

    @handles
    async def wait(self, msg: Wait) -> None:
        await trio.sleep_forever()

    def on_stop(self, reason: Reason) -> None:
        self.ends.append((self.context.ref.path, str(reason)))


async def partners(node: Node, *names: str) -> tuple[list[ActorRef], list[tuple[str, str]]]:
    ends: list[tuple[str, str]] = []
    return [await node.spawn(child(name, Partner, ends)) for name in names], ends


@pytest.mark.parametrize("who", [0, 1])
async def test_the_failure_of_either_fails_the_other_with_its_reason(who: int) -> None:
    async with Node("n") as node:
        refs, ends = await partners(node, "a", "b")
        refs[0].tell(Join(refs[1]))
        await trio.testing.wait_all_tasks_blocked()
        refs[who].tell(Fail())
        await trio.testing.wait_all_tasks_blocked()
        first, second = refs[who].path, refs[1 - who].path
        assert ends == [
            (first, "failed: ValueError: on purpose"),
            (
                second,
                f"failed: LinkedActorEnded: linked actor {first!r} ended: "
                "failed: ValueError: on purpose",
            ),
        ]


async def test_a_chain_of_links_fails_as_one() -> None:
    async with Node("n") as node:
        refs, ends = await partners(node, "a", "b", "c")
        refs[0].tell(Join(refs[1]))
        refs[1].tell(Join(refs[2]))
        await trio.testing.wait_all_tasks_blocked()
        refs[2].tell(Fail())
        await trio.testing.wait_all_tasks_blocked()
        assert [path for path, _ in ends] == ["c", "b", "a"]


async def test_a_normal_end_breaks_the_link_and_harms_nobody() -> None:
    async with Node("n") as node:
        refs, ends = await partners(node, "a", "b")
        refs[0].tell(Join(refs[1]))
        await trio.testing.wait_all_tasks_blocked()
        refs[1].stop()
        await trio.testing.wait_all_tasks_blocked()
        assert ends == [("b", "normal")]
        refs[0].tell(Fail())
        await trio.testing.wait_all_tasks_blocked()
        assert len(ends) == 2


async def test_parted_actors_do_not_share_their_fate() -> None:
    async with Node("n") as node:
        refs, ends = await partners(node, "a", "b")
        refs[0].tell(Join(refs[1]))
        refs[0].tell(Part(refs[1]))
        await trio.testing.wait_all_tasks_blocked()
        refs[1].tell(Fail())
        await trio.testing.wait_all_tasks_blocked()
        assert [path for path, _ in ends] == ["b"]


async def test_linking_to_the_dead_fails_with_noproc() -> None:
    async with Node("n") as node:
        refs, ends = await partners(node, "a", "b")
        refs[1].stop()
        await trio.testing.wait_all_tasks_blocked()
        refs[0].tell(Join(refs[1]))
        await trio.testing.wait_all_tasks_blocked()
        assert ends[1][0] == "a"
        assert ends[1][1].endswith("noproc")


async def test_a_link_interrupts_a_handler_that_waits() -> None:
    async with Node("n") as node:
        refs, ends = await partners(node, "a", "b")
        refs[0].tell(Join(refs[1]))
        refs[0].tell(Wait())
        await trio.testing.wait_all_tasks_blocked()
        refs[1].tell(Fail())
        await trio.testing.wait_all_tasks_blocked()
        assert [path for path, _ in ends] == ["b", "a"]


async def test_a_killed_partner_fails_the_other() -> None:
    async with Node("n") as node:
        refs, ends = await partners(node, "a", "b")
        refs[0].tell(Join(refs[1]))
        await trio.testing.wait_all_tasks_blocked()
        node.root.children["b"].kill()
        await trio.testing.wait_all_tasks_blocked()
        assert [path for path, _ in ends] == ["a"]
        assert ends[0][1].endswith("killed")


async def test_a_restarted_actor_is_no_longer_linked() -> None:
    ends: list[tuple[str, str]] = []
    spec = supervisor(child("a", Partner, ends), child("b", Partner, ends), max_restarts=9)
    async with Node("n", spec) as node:
        a, b = node.ref("a"), node.ref("b")
        a.tell(Join(b))
        await trio.testing.wait_all_tasks_blocked()
        a.tell(Fail())
        await trio.testing.wait_all_tasks_blocked()
        assert [path for path, _ in ends] == ["a", "b"]
        a.tell(Fail())
        await trio.testing.wait_all_tasks_blocked()
        assert [path for path, _ in ends] == ["a", "b", "a"]


async def test_an_actor_that_is_suspended_can_be_linked_to() -> None:
    ends: list[tuple[str, str]] = []
    async with Node("n") as node:
        one, other = await node.spawn(Partner, ends), await node.spawn(Partner, ends)
        await suspend(other)
        one.tell(Join(other))
        await trio.testing.wait_all_tasks_blocked()
        assert not one.is_stopped
        resume(other)
        other.tell(Fail())
        await trio.testing.wait_all_tasks_blocked()
        assert one.is_stopped
