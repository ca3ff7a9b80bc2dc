"""Supervisors with real actors under them (S1 to S4)."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from schedule_zero.runtime import (
    ActorRef,
    Backoff,
    Node,
    NodeFailed,
    Reason,
    Restarted,
    RestartIntensityExceeded,
    StartFailed,
    Supervisor,
    SupervisorSpec,
    child,
    supervisor,
)

from .actors import (
    Boom,
    Crash,
    Diarist,
    Diary,
    Echo,
    Nap,
    Note,
    Quit,
    Recorder,
    SlowDiarist,
    Watcher,
)


@pytest.fixture
def diary() -> Diary:
    return Diary()


def three(diary: Diary, strategy: str = "one_for_one", **options: float) -> SupervisorSpec:
    children = [child(name, Diarist, diary) for name in "abc"]
    return supervisor(*children, strategy=strategy, **options)  # type: ignore[arg-type]


def causes(error: BaseException | None) -> list[BaseException]:
    chain = []
    while error is not None:
        chain.append(error)
        error = error.__cause__
    return chain


async def settle() -> None:
    await trio.sleep(0.1)


async def test_children_start_in_order_and_stop_in_reverse(
    diary: Diary, autojump_clock: MockClock
) -> None:
    async with Node("n", three(diary)):
        assert diary.take() == ["start a", "start b", "start c"]
    assert diary.take() == ["stop c", "stop b", "stop a"]


async def test_a_child_that_takes_its_time_to_stop_holds_up_those_before_it(
    diary: Diary, autojump_clock: MockClock
) -> None:
    spec = supervisor(child("a", Diarist, diary), child("b", SlowDiarist, diary))
    async with Node("n", spec):
        begun = trio.current_time()
    assert diary.take() == ["start a", "start b", "stop b", "stop a"]
    assert trio.current_time() - begun == 1


async def test_one_for_one_restarts_the_failed_child_alone(
    diary: Diary, autojump_clock: MockClock
) -> None:
    async with Node("n", three(diary)) as node:
        diary.take()
        node.ref("b").tell(Crash())
        await settle()
        assert diary.take() == ["stop b", "start b"]


async def test_one_for_all_stops_all_in_reverse_and_starts_all_in_order(
    diary: Diary, autojump_clock: MockClock
) -> None:
    async with Node("n", three(diary, "one_for_all")) as node:
        diary.take()
        node.ref("b").tell(Crash())
        await settle()
        assert diary.take() == ["stop b", "stop c", "stop a", "start a", "start b", "start c"]


async def test_rest_for_one_restarts_the_failed_child_and_those_after_it(
    diary: Diary, autojump_clock: MockClock
) -> None:
    async with Node("n", three(diary, "rest_for_one")) as node:
        diary.take()
        node.ref("b").tell(Crash())
        await settle()
        assert diary.take() == ["stop b", "stop c", "start b", "start c"]


async def test_a_permanent_child_that_ends_by_itself_is_started_again(
    diary: Diary, autojump_clock: MockClock
) -> None:
    async with Node("n", three(diary)) as node:
        diary.take()
        node.ref("a").tell(Quit())
        await settle()
        assert diary.take() == ["stop a", "start a"]


async def test_a_transient_child_that_ends_normally_is_gone_for_good(
    autojump_clock: MockClock,
) -> None:
    spec = supervisor(child("a", Recorder, []).options(restart="transient"))
    async with Node("n", spec) as node:
        ref = node.ref("a")
        ref.tell(Quit())
        await settle()
        assert ref.is_stopped


async def test_a_transient_child_that_fails_is_started_again(
    diary: Diary, autojump_clock: MockClock
) -> None:
    async with Node("n", supervisor(child("a", Diarist, diary).options(restart="transient"))) as n:
        n.ref("a").tell(Crash())
        await settle()
        assert diary.take() == ["start a", "stop a", "start a"]


async def test_a_temporary_child_that_fails_is_gone_for_good(
    diary: Diary, autojump_clock: MockClock
) -> None:
    async with Node("n", supervisor(child("a", Diarist, diary).options(restart="temporary"))) as n:
        ref = n.ref("a")
        ref.tell(Crash())
        await settle()
        assert ref.is_stopped
        assert diary.take() == ["start a", "stop a"]


async def test_a_temporary_child_ends_with_the_restart_of_its_siblings(
    diary: Diary, autojump_clock: MockClock
) -> None:
    spec = supervisor(
        child("a", Diarist, diary),
        child("b", Diarist, diary).options(restart="temporary"),
        strategy="one_for_all",
    )
    async with Node("n", spec) as node:
        temporary = node.ref("b")
        node.ref("a").tell(Crash())
        await settle()
        assert temporary.is_stopped
        assert diary.take()[2:] == ["stop a", "stop b", "start a"]


async def test_stopping_twice_ends_one_life(autojump_clock: MockClock) -> None:
    """S2: a stop meant for one life does not reach the next."""
    diary = Diary()
    async with Node("n", supervisor(child("a", Diarist, diary))) as node:
        ref = node.ref("a")
        ref.tell(Nap(1))
        await settle()
        ref.stop()
        ref.stop()
        ref.tell(Note("x"))
        await trio.sleep(5)
        assert diary.take() == ["start a", "stop a", "start a"]


async def test_a_child_that_fails_while_its_sibling_is_being_stopped_starts_once(
    diary: Diary, autojump_clock: MockClock
) -> None:
    """S2: both ends are known to one restart."""
    spec = supervisor(
        child("a", Diarist, diary), child("b", SlowDiarist, diary), strategy="one_for_all"
    )
    async with Node("n", spec) as node:
        a, b = node.ref("a"), node.ref("b")
        diary.take()
        a.tell(Crash())
        b.tell(Crash())
        await trio.sleep(5)
        assert diary.take() == ["stop a", "stop b", "start a", "start b"]
        assert not diary.overlaps


async def test_a_retry_that_a_sibling_has_overtaken_does_not_start_a_second_life(
    diary: Diary, autojump_clock: MockClock
) -> None:
    """S2: `a` fails at once after its start, before the retry of `b` is handled."""
    diary.faulty["b"] = [True, False]
    diary.faulty["a"] = [True]

    class Hasty(Diarist):
        def on_start(self) -> None:
            super().on_start()
            if self.diary.entries.count("start a") == 2:
                self.context.stop()

    spec = supervisor(
        child("a", Hasty, diary),
        child("b", Diarist, diary),
        strategy="one_for_all",
        max_restarts=math.inf,
    )
    async with Node("n", spec) as node:
        node.ref("b").tell(Crash())
        await settle()
        assert not diary.overlaps
        assert diary.alive == {"a", "b"}


async def test_mail_is_kept_over_a_restart_and_handled_once(autojump_clock: MockClock) -> None:
    """S4."""
    notes: list[object] = []
    async with Node("n", supervisor(child("a", Recorder, notes))) as node:
        ref = node.ref("a")
        for message in (Note(1), Crash("ow"), Note(2), Note(3)):
            ref.tell(message)
        await settle()
    assert notes == [1, 2, 3]


async def test_the_message_that_killed_goes_to_the_dead_letters_with_the_failure(
    autojump_clock: MockClock,
) -> None:
    """S4."""
    async with Node("n", supervisor(child("a", Recorder, []))) as node:
        node.ref("a").tell(Crash("ow"))
        await settle()
        (letter,) = node.dead_letters.recent
    assert (letter.target, letter.message) == ("a", Crash("ow"))
    assert (letter.reason, letter.failure) == ("failed", "Boom: ow")


async def test_a_ref_reaches_the_next_life(autojump_clock: MockClock) -> None:
    async with Node("n", supervisor(child("a", Recorder, []))) as node:
        ref = node.ref("a")
        ref.tell(Crash())
        assert await ref.ask(Echo("still here")) == "still here"


async def test_too_many_restarts_end_the_node_with_the_cause_chained(
    diary: Diary, autojump_clock: MockClock
) -> None:
    """S3."""
    with pytest.raises(NodeFailed) as caught:
        async with Node("n", three(diary, max_restarts=1)) as node:
            for _ in range(2):
                node.ref("b").tell(Crash("deep down"))
            await trio.sleep_forever()

    _, exceeded, boom = causes(caught.value)
    assert isinstance(exceeded, RestartIntensityExceeded)
    assert isinstance(boom, Boom)
    assert boom.args == ("deep down",)
    assert not diary.alive


async def test_as_many_restarts_as_allowed_do_not(diary: Diary, autojump_clock: MockClock) -> None:
    """S3."""
    async with Node("n", three(diary, max_restarts=2, within=5.0)) as node:
        for _ in range(8):
            node.ref("b").tell(Crash())
            await trio.sleep(2.6)
        assert diary.alive == set("abc")


async def test_a_failure_climbs_through_nested_supervisors_to_the_node(
    diary: Diary, autojump_clock: MockClock
) -> None:
    inner = supervisor(child("leaf", Diarist, diary), max_restarts=0)
    middle = supervisor(child("inner", Supervisor, inner), max_restarts=0)
    outer = supervisor(child("middle", Supervisor, middle), max_restarts=0)
    with pytest.raises(NodeFailed) as caught:
        async with Node("n", outer) as node:
            node.ref("middle/inner/leaf").tell(Crash("deep down"))
            await trio.sleep_forever()

    types = [type(error) for error in causes(caught.value)]
    assert types == [NodeFailed, *[RestartIntensityExceeded] * 3, Boom]


async def test_a_supervisor_that_gives_up_is_restarted_by_its_own(
    diary: Diary, autojump_clock: MockClock
) -> None:
    inner = supervisor(child("x", Diarist, diary), child("y", Diarist, diary), max_restarts=0)
    async with Node("n", supervisor(child("s", Supervisor, inner))) as node:
        diary.take()
        node.ref("s/x").tell(Crash())
        await settle()
        assert diary.take() == ["stop s/x", "stop s/y", "start s/x", "start s/y"]


async def test_a_failing_start_hook_is_tried_again_and_counts(
    diary: Diary, autojump_clock: MockClock
) -> None:
    async with Node("n", three(diary, max_restarts=3)) as node:
        diary.faulty["b"] = [False, False]
        diary.take()
        node.ref("b").tell(Crash())
        await settle()
        assert diary.take() == ["stop b", "fail b", "fail b", "start b"]


async def test_start_failures_escalate_with_their_cause(
    diary: Diary, autojump_clock: MockClock
) -> None:
    diary.faulty["b"] = [True, *[False] * 9]
    with pytest.raises(NodeFailed) as caught:
        async with Node("n", three(diary)) as node:
            node.ref("b").tell(Crash())
            await trio.sleep_forever()

    types = [type(error) for error in causes(caught.value)]
    assert types == [NodeFailed, RestartIntensityExceeded, StartFailed, Boom]


async def test_a_start_that_fails_at_the_nodes_start_stops_those_already_started(
    diary: Diary, autojump_clock: MockClock
) -> None:
    diary.faulty["c"] = [False]
    with pytest.raises(StartFailed, match=r"'c'.*c does not start"):
        async with Node("n", three(diary)):
            pytest.fail("the body must not run")
    assert diary.take() == ["start a", "start b", "fail c", "stop b", "stop a"]


async def test_the_instance_that_failed_to_start_leaves_nothing_behind(
    diary: Diary, autojump_clock: MockClock
) -> None:
    class Parent(Recorder):
        def on_start(self) -> None:
            self.context.spawn(child("below", Diarist, diary))
            self.context.start_task(trio.sleep_forever)
            self.context.timers.every(1, Note("tick"))
            if not diary.starts("parent"):
                raise Boom

    notes: list[object] = []
    diary.faulty["parent"] = [True, False]
    async with Node("n", supervisor(child("parent", Parent, notes))) as node:
        node.ref("parent").tell(Crash())
        await trio.sleep(3.5)
        assert diary.alive == {"parent/below"}
        assert not diary.overlaps
        assert notes == ["tick"] * 3


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_a_stop_interrupts_a_restart_that_waits_for_a_start(
    strategy: str, diary: Diary, autojump_clock: MockClock
) -> None:
    class Hangs(Diarist):
        async def on_restart(self, failure: Reason) -> None:
            await trio.sleep_forever()

    spec = supervisor(
        child("a", Diarist, diary),
        child("b", Hangs, diary),
        strategy=strategy,  # type: ignore[arg-type]
    )
    async with Node("n", spec) as node:
        node.ref("b").tell(Crash())
        await settle()
        begun = trio.current_time()
    assert trio.current_time() - begun <= 5
    assert "stop a" in diary.entries


async def test_a_backoff_puts_restarts_off(diary: Diary, autojump_clock: MockClock) -> None:
    starts: list[float] = []

    class Timed(Recorder):
        def on_start(self) -> None:
            starts.append(autojump_clock.current_time())

    spec = supervisor(
        child("a", Timed, []), max_restarts=9, within=1000, backoff=Backoff(1.0, 2.0, 3.0)
    )
    async with Node("n", spec) as node:
        for _ in range(4):
            node.ref("a").tell(Crash())
        await trio.sleep(100)
    gaps = [round(later - earlier, 3) for earlier, later in pairwise(starts)]
    assert gaps == [1.0, 2.0, 3.0, 3.0]


async def test_mail_sent_during_a_backoff_waits(autojump_clock: MockClock) -> None:
    notes: list[object] = []
    spec = supervisor(child("a", Recorder, notes), backoff=Backoff(10.0))
    async with Node("n", spec) as node:
        ref = node.ref("a")
        ref.tell(Crash())
        await trio.sleep(5)
        ref.tell(Note("waits"))
        await trio.sleep(4)
        assert notes == []
        await trio.sleep(2)
        assert notes == ["waits"]


async def test_a_node_stops_at_once_during_a_backoff(autojump_clock: MockClock) -> None:
    spec = supervisor(child("a", Recorder, []), backoff=Backoff(100.0, maximum=100.0))
    async with Node("n", spec) as node:
        node.ref("a").tell(Crash())
        await settle()
        begun = trio.current_time()
    assert trio.current_time() == begun


async def test_each_restart_is_an_event_of_the_node(autojump_clock: MockClock) -> None:
    events: list[Restarted] = []
    async with Node("n", supervisor(child("a", Recorder, []))) as node:
        node.events.subscribe(events.append)
        node.ref("a").tell(Crash("ow"))
        node.ref("a").tell(Crash("oh"))
        await settle()
    assert events == [
        Restarted("a", "failed: Boom: ow", 2),
        Restarted("a", "failed: Boom: oh", 3),
    ]


async def test_a_listener_that_raises_harms_nobody(autojump_clock: MockClock) -> None:
    def broken(event: object) -> None:
        raise Boom

    async with Node("n", supervisor(child("a", Recorder, []))) as node:
        node.events.subscribe(broken)
        node.dead_letters.subscribe(broken)
        node.ref("a").tell(Crash())
        assert await node.ref("a").ask(Echo(1)) == 1


async def test_on_restart_replaces_on_start_and_is_told_why(autojump_clock: MockClock) -> None:
    seen: list[object] = []

    class Told(Recorder):
        def on_start(self) -> None:
            seen.append("start")

        def on_restart(self, failure: Reason) -> None:
            seen.append(str(failure))

    async with Node("n", supervisor(child("a", Told, []))) as node:
        node.ref("a").tell(Crash("ow"))
        await settle()
    assert seen == ["start", "failed: Boom: ow"]


async def test_a_failing_on_stop_does_not_hinder_the_restart(autojump_clock: MockClock) -> None:
    class Sulky(Recorder):
        def on_stop(self, reason: Reason) -> None:
            raise Boom

    async with Node("n", supervisor(child("a", Sulky, []))) as node:
        node.ref("a").tell(Crash())
        assert await node.ref("a").ask(Echo(1)) == 1


async def test_children_of_an_actor_end_before_it_restarts(
    diary: Diary, autojump_clock: MockClock
) -> None:
    class Parent(Diarist):
        def on_start(self) -> None:
            super().on_start()
            self.context.spawn(child("below", SlowDiarist, diary))

    async with Node("n", supervisor(child("up", Parent, diary))) as node:
        below: ActorRef = node.ref("up/below")
        diary.take()
        node.ref("up").tell(Crash())
        await trio.sleep(5)
        assert diary.take() == ["stop up/below", "stop up", "start up", "start up/below"]
        assert below.is_stopped
        assert not diary.overlaps


async def test_what_on_stop_begins_ends_with_the_actor(
    diary: Diary, autojump_clock: MockClock
) -> None:
    notes: list[object] = []

    class Late(Recorder):
        def on_stop(self, reason: Reason) -> None:
            self.context.spawn(child("late", Diarist, diary))
            self.context.timers.after(1, Note("late"))

    async with Node("n", supervisor(child("a", Late, notes))) as node:
        node.ref("a").stop()
        await trio.sleep(5)
        assert diary.take() == ["start a/late", "stop a/late"]
        assert notes == []


async def test_nobody_is_told_down_of_an_actor_that_restarts(autojump_clock: MockClock) -> None:
    downs: list[object] = []
    async with Node("n", supervisor(child("a", Recorder, []))) as node:
        await node.spawn(Watcher, node.ref("a"), downs)
        node.ref("a").tell(Crash())
        await settle()
        assert downs == []
