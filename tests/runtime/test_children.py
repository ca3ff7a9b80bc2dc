"""Children at run time: pools, significant children, and what a supervisor can be asked."""

from __future__ import annotations

import math

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from schedule_zero.runtime import (
    Actor,
    ActorRef,
    ActorStopped,
    Backoff,
    BadChildSpec,
    ChildCounts,
    ChildError,
    CountChildren,
    DeleteChild,
    NameTaken,
    Node,
    Request,
    RestartChild,
    StartChild,
    StartFailed,
    Supervisor,
    SupervisorSpec,
    TerminateChild,
    WhichChildren,
    child,
    handles,
    message,
    supervisor,
)
from schedule_zero.runtime.restarts import End, Forget, Restarts, Start, Wait


@message
class Name(Request[str]):
    pass


@message
class Leave:
    pass


@message
class Fail:
    pass


class Worker(Actor):
    def __init__(self, *names: str, bad: bool = False) -> None:
        if bad:
            raise ValueError("bad")
        self.names = names

    @handles
    def name(self, msg: Name) -> str:
        return " ".join(self.names)

    @handles
    def leave(self, msg: Leave) -> None:
        self.context.stop()

    @handles
    def fail(self, msg: Fail) -> None:
        raise ValueError("on purpose")


def under(spec: SupervisorSpec) -> SupervisorSpec:
    """The supervisor under test, as a temporary child, so that its end ends nobody else."""
    return supervisor(child("sup", Supervisor, spec).options(restart="temporary"))


async def names_of(sup: ActorRef) -> list[tuple[str, str]]:
    return [(info.name, info.state) for info in await sup.ask(WhichChildren())]


async def settled() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def test_a_pool_starts_workers_from_its_template() -> None:
    pool = supervisor(child("worker", Worker, "a"), strategy="simple_one_for_one")
    async with Node("n", under(pool)) as node:
        sup = node.ref("sup")
        assert await names_of(sup) == []
        first = await sup.ask(StartChild(args=("b",)))
        second = await sup.ask(StartChild(args=("c", "d")))
        assert [await first.ask(Name()), await second.ask(Name())] == ["a b", "a c d"]
        assert await names_of(sup) == [("worker-1", "running"), ("worker-2", "running")]
        await sup.ask(TerminateChild("worker-1"))
        assert await names_of(sup) == [("worker-2", "running")]
        with pytest.raises(ActorStopped):
            await first.ask(Name())


async def test_a_pools_workers_are_restarted_alone_and_keep_their_arguments() -> None:
    pool = supervisor(child("worker", Worker), strategy="simple_one_for_one")
    async with Node("n", under(pool)) as node:
        refs = [await node.ref("sup").ask(StartChild(args=(name,))) for name in "ab"]
        refs[0].tell(Fail())
        await settled()
        assert [await ref.ask(Name()) for ref in refs] == ["a", "b"]
        lives = [cell.life for cell in node.root.children["sup"].children.values()]
        assert lives == [2, 1]


async def test_a_worker_that_does_not_start_is_no_child_and_fails_nobody() -> None:
    pool = supervisor(child("worker", Worker), strategy="simple_one_for_one")
    async with Node("n", under(pool)) as node:
        sup = node.ref("sup")
        with pytest.raises(StartFailed, match="bad"):
            await sup.ask(StartChild(kwargs={"bad": True}))
        assert await names_of(sup) == []
        assert node.root.children["sup"].children == {}
        assert node.root.children["sup"].life == 1


async def test_a_child_is_added_terminated_restarted_and_deleted() -> None:
    async with Node("n", under(supervisor(child("one", Worker, "1")))) as node:
        sup = node.ref("sup")
        two = await sup.ask(StartChild(child("two", Worker, "2")))
        assert await two.ask(Name()) == "2"
        with pytest.raises(NameTaken):
            await sup.ask(StartChild(child("two", Worker)))
        assert await sup.ask(CountChildren()) == ChildCounts(2, 2, 0, 2)

        with pytest.raises(ChildError, match="'two' of supervisor 'sup' is running"):
            await sup.ask(RestartChild("two"))
        with pytest.raises(ChildError, match="running"):
            await sup.ask(DeleteChild("two"))
        await sup.ask(TerminateChild("two"))
        assert await names_of(sup) == [("one", "running"), ("two", "undefined")]

        again = await sup.ask(RestartChild("two"))
        assert await again.ask(Name()) == "2"
        await sup.ask(TerminateChild("two"))
        await sup.ask(DeleteChild("two"))
        assert await names_of(sup) == [("one", "running")]
        for request in (TerminateChild("two"), RestartChild("two"), DeleteChild("two")):
            with pytest.raises(ChildError, match="unknown"):
                await sup.ask(request)


async def test_a_temporary_child_that_is_terminated_is_forgotten() -> None:
    spec = supervisor(child("one", Worker).options(restart="temporary"))
    async with Node("n", under(spec)) as node:
        await node.ref("sup").ask(TerminateChild("one"))
        assert await names_of(node.ref("sup")) == []


async def test_a_terminated_child_is_started_with_its_siblings_by_one_for_all() -> None:
    spec = supervisor(child("a", Worker), child("b", Worker), strategy="one_for_all")
    async with Node("n", under(spec)) as node:
        sup = node.ref("sup")
        await sup.ask(TerminateChild("a"))
        node.ref("sup/b").tell(Fail())
        await settled()
        assert await names_of(sup) == [("a", "running"), ("b", "running")]


async def test_the_wrong_kind_of_start_is_refused() -> None:
    pool = supervisor(child("worker", Worker), strategy="simple_one_for_one")
    async with Node("n", under(pool)) as node:
        with pytest.raises(ChildError, match="args of its template"):
            await node.ref("sup").ask(StartChild(child("x", Worker)))
    async with Node("n", under(supervisor())) as node:
        with pytest.raises(ChildError, match="a spec"):
            await node.ref("sup").ask(StartChild())


@pytest.mark.parametrize(
    ("auto_shutdown", "leavers", "ends"),
    [
        ("any_significant", ["a"], True),
        ("all_significant", ["a"], False),
        ("all_significant", ["a", "b"], True),
        ("any_significant", ["plain"], False),
    ],
)
async def test_significant_children_end_their_supervisor(
    auto_shutdown: str, leavers: list[str], ends: bool
) -> None:
    spec = supervisor(
        child("a", Worker).options(restart="transient", significant=True),
        child("b", Worker).options(restart="temporary", significant=True),
        child("plain", Worker).options(restart="temporary"),
        auto_shutdown=auto_shutdown,  # type: ignore[arg-type]
    )
    async with Node("n", under(spec)) as node:
        sup = node.ref("sup")
        for name in leavers:
            node.ref(f"sup/{name}").tell(Leave())
            await settled()
        assert sup.is_stopped == ends


async def test_a_significant_child_that_is_restarted_ends_nobody() -> None:
    worker = child("a", Worker).options(restart="transient", significant=True)
    spec = supervisor(worker, auto_shutdown="any_significant")
    async with Node("n", under(spec)) as node:
        node.ref("sup/a").tell(Fail())
        await settled()
        assert not node.ref("sup").is_stopped
        assert await node.ref("sup/a").ask(Name()) == ""


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: child("a", Worker).options(significant=True), "permanent child cannot"),
        (
            lambda: supervisor(child("a", Worker).options(restart="transient", significant=True)),
            "auto_shutdown='never'",
        ),
        (lambda: supervisor(auto_shutdown="some"), "auto_shutdown='some'"),
        (lambda: supervisor(strategy="simple_one_for_one"), "one child as its template"),
    ],
)
def test_an_impossible_combination_is_refused(make: object, expected: str) -> None:
    with pytest.raises(BadChildSpec, match=expected):
        make()  # type: ignore[operator]


@given(
    kinds=st.lists(
        st.tuples(st.sampled_from(["transient", "temporary"]), st.booleans()),
        min_size=1,
        max_size=5,
    ),
    auto_shutdown=st.sampled_from(["any_significant", "all_significant"]),
    exits=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=12),
)
def test_auto_shutdown_is_what_the_documentation_says(
    kinds: list[tuple[str, bool]], auto_shutdown: str, exits: list[tuple[int, bool]]
) -> None:
    """ "any_significant: when any significant child terminates (a transient one normally, a
    temporary one in any way). all_significant: when all significant children have terminated, that
    is, when the last active significant child terminates." (`supervisor(3)`)
    """
    children = [
        child(f"c{number}", Worker).options(restart=kind, significant=significant)  # type: ignore[arg-type]
        for number, (kind, significant) in enumerate(kinds)
    ]
    core = Restarts(
        supervisor(*children, max_restarts=99, auto_shutdown=auto_shutdown)  # type: ignore[arg-type]
    )
    active = {each.name for each in children}
    for name in active:
        core.started(name)
    for number, abnormal in exits:
        name = f"c{number}"
        if name not in active:
            continue
        kind, significant = kinds[number]
        effects = core.exited(name, abnormal, 0.0)
        core.check()
        is_gone = kind == "temporary" or not abnormal
        if not is_gone:
            core.started(name)
            assert not any(isinstance(effect, End) for effect in effects)
            continue
        active.remove(name)
        others = any(kinds[int(other[1:])][1] for other in active)
        expected = significant and (auto_shutdown == "any_significant" or not others)
        assert (End(name) in effects) == expected
        assert (Forget(name) in effects) == (kind == "temporary")
        if expected:
            return


def test_a_significant_child_that_waits_for_its_restart_keeps_its_supervisor() -> None:
    waits = child("waits", Worker).options(restart="transient", significant=True)
    ends = child("ends", Worker).options(restart="temporary", significant=True)
    spec = supervisor(waits, ends, auto_shutdown="all_significant", backoff=Backoff(1.0))
    core = Restarts(spec)
    core.started("waits")
    core.started("ends")
    assert core.exited("waits", abnormal=True, now=0.0) == [Wait("waits", 1.0)]
    assert core.exited("ends", abnormal=True, now=0.5) == [Forget("ends")]
    assert core.due("waits", 1.0) == [Start("waits")]


async def test_a_name_that_a_spawned_actor_has_is_taken() -> None:
    async with Node("n", supervisor(child("a", Worker))) as node:
        root = node.root.ref
        spawned = await node.spawn(child("b", Worker))
        with pytest.raises(NameTaken):
            await root.ask(StartChild(child("b", Worker)))
        await root.ask(TerminateChild("a"))
        other = await node.spawn(child("a", Worker))
        with pytest.raises(NameTaken):
            await root.ask(RestartChild("a"))
        assert not spawned.is_stopped
        assert not other.is_stopped


def test_a_backoff_grows_while_failures_follow_each_other_and_starts_anew_after_peace() -> None:
    spec = supervisor(
        child("a", Worker), max_restarts=math.inf, within=5.0, backoff=Backoff(1.0, maximum=20.0)
    )
    core, now, delays = Restarts(spec), 0.0, list[float]()
    for _ in range(7):
        core.started("a")
        (wait,) = core.exited("a", abnormal=True, now=now)
        assert isinstance(wait, Wait)
        delays.append(wait.delay)
        now += wait.delay + 4.0
        assert core.due("a", now) == [Start("a")]
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]
    core.started("a")
    assert core.exited("a", abnormal=True, now=now + 5.1) == [Wait("a", 1.0)]


@given(jitter=st.floats(0, 1), draw=st.floats(0, 1), count=st.integers(1, 2000))
def test_a_jitter_stays_within_its_fraction(jitter: float, draw: float, count: int) -> None:
    plain = Backoff(0.5, 2.0, 10.0).delay(count)
    delay = Backoff(0.5, 2.0, 10.0, jitter).delay(count, draw)
    assert plain * (1 - jitter) - 1e-9 <= delay <= plain * (1 + jitter) + 1e-9


@pytest.mark.parametrize(
    "options", [{"initial": -1.0}, {"factor": 0.5}, {"maximum": -1.0}, {"jitter": 2.0}]
)
def test_an_impossible_backoff_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(BadChildSpec):
        Backoff(**options)
