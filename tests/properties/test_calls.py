"""S1 on a real supervisor whose children are also added, stopped, restarted, deleted on order."""

from __future__ import annotations

from typing import Any

import trio
from attrs import define, field, frozen
from hypothesis import event, given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from schedule_zero.runtime import (
    Actor,
    ActorRef,
    ActorStopped,
    BadChildSpec,
    ChildError,
    CountChildren,
    DeleteChild,
    Down,
    NameTaken,
    Node,
    RestartChild,
    StartChild,
    StartFailed,
    Supervisor,
    SupervisorSpec,
    TerminateChild,
    WhichChildren,
    child,
    handles,
    supervisor,
)

from ..runtime.actors import Crash, Quit
from ..runtime.otp import OtpChild, OtpSupervisor
from ..runtime.virtual import UNHURRIED, run_virtual

NAMES = ("a", "b", "c", "d")
RESTARTS = st.sampled_from(["permanent", "transient", "temporary"])
ANSWERS = {
    "already_present": NameTaken,
    "already_started": NameTaken,
    "bad_combination": BadChildSpec,
    "start_error": StartFailed,
    "not_found": ChildError,
    "running": ChildError,
    "restarting": ChildError,
}
"""What our calls raise where OTP answers this."""


@frozen
class Kind:
    """A child: how it is restarted, and whether it is significant (a permanent one cannot be)."""

    name: str
    restart: str
    significant: bool

    @property
    def counts(self) -> bool:
        return self.significant and self.restart != "permanent"


@frozen
class Do:
    """Something that happens: a child ends, or a call."""

    what: str
    which: int
    kind: Kind
    starts: bool


KINDS = st.builds(Kind, st.sampled_from(NAMES), RESTARTS, st.booleans())
STEPS = st.builds(
    Do,
    st.sampled_from(["fail", "quit", "start", "terminate", "restart", "delete"]),
    st.integers(0, 5),
    KINDS,
    st.integers(0, 4).map(bool),
)


@define
class Faults:
    """Whether the next starts succeed."""

    starts: bool = True


class Part(Actor):
    """A child that ends as it is told."""

    def __init__(self, faults: Faults) -> None:
        if not faults.starts:
            raise ValueError("does not start")

    @handles
    def crash(self, msg: Crash) -> None:
        raise ValueError("told to")

    @handles
    def quit(self, msg: Quit) -> None:
        self.context.stop()


class Watch(Actor):
    """Counts the `Down`s of each ref."""

    def __init__(self, downs: dict[ActorRef, int]) -> None:
        self.downs = downs

    @handles
    def watch(self, msg: ActorRef) -> None:
        self.context.monitor(msg)

    @handles
    def down(self, msg: Down) -> None:
        self.downs[msg.ref] = self.downs.get(msg.ref, 0) + 1


@define
class Play:
    """A supervisor and its model, side by side."""

    ref: ActorRef
    watch: ActorRef
    model: OtpSupervisor
    faults: Faults
    is_pool: bool
    refs: dict[str, list[ActorRef]] = field(factory=dict)
    workers: int = 0

    async def step(self, do: Do) -> None:
        self.faults.starts = do.starts
        self.model.starts = lambda _: do.starts
        known = [name for name, _ in self.model.which_children()]
        name = known[do.which % len(known)] if known else "nobody"
        match do.what:
            case "fail" | "quit":
                self.faults.starts = True
                self.model.starts = lambda _: True
                await self.end(do, name)
            case "start":
                await self.start(do.kind)
            case "terminate":
                await self.call(TerminateChild(name), self.model.terminate_child(name))
            case "restart" if not self.is_pool:
                await self.call(RestartChild(name), self.model.restart_child(name))
            case "delete" if not self.is_pool:
                await self.call(DeleteChild(name), self.model.delete_child(name))
        await wait_all_tasks_blocked()

    async def end(self, do: Do, name: str) -> None:
        if name in self.model.running():
            abnormal = do.what == "fail"
            self.refs[name][-1].tell(Crash() if abnormal else Quit())
            self.model.exit(name, abnormal, trio.current_time())

    async def start(self, kind: Kind) -> None:
        if self.is_pool:
            self.workers += 1
            template = self.model_template
            answer = self.model.start_child(OtpChild(f"w-{self.workers}", template.restart))
            await self.call(StartChild(), answer)
            return
        spec = child(kind.name, Part, self.faults).options(
            restart=kind.restart,  # type: ignore[arg-type]
            significant=kind.counts,
        )
        answer = self.model.start_child(OtpChild(kind.name, kind.restart, "undefined", kind.counts))
        await self.call(StartChild(spec), answer)

    async def call(self, request: Any, answer: str) -> None:
        event(f"{type(request).__name__}: {answer}")
        if answer == "ok":
            await self.ref.ask(request)
            return
        try:
            await self.ref.ask(request)
        except ANSWERS[answer]:
            return
        raise AssertionError(f"{request} was done, OTP answers {answer}")

    model_template: Any = None

    async def compare(self) -> None:
        if self.model.shut_down or self.model.done:
            assert self.ref.is_stopped
            return
        infos = await self.ref.ask(WhichChildren())
        assert [(info.name, info.state) for info in infos] == self.model.which_children()
        counts = await self.ref.ask(CountChildren())
        assert (counts.specs, counts.active) == self.model.count_children()
        for info in infos:
            if info.ref is not None:
                self.meet(info.name, info.ref)

    def meet(self, name: str, ref: ActorRef) -> None:
        known = self.refs.setdefault(name, [])
        if ref not in known:
            assert all(other.is_stopped for other in known), "S2: two lives of one child"
            known.append(ref)
            self.watch.tell(ref)


async def play(kinds: list[Kind], strategy: str, auto_shutdown: str, steps: list[Do]) -> None:
    faults, downs = Faults(), dict[ActorRef, int]()
    is_pool = strategy == "simple_one_for_one"
    unique = list({kind.name: kind for kind in kinds}.values())
    if is_pool:
        unique = [Kind("w", unique[0].restart, False)]
    specs = [
        child(kind.name, Part, faults).options(
            restart=kind.restart,  # type: ignore[arg-type]
            significant=kind.counts and auto_shutdown != "never",
        )
        for kind in unique
    ]
    spec = SupervisorSpec(tuple(specs), strategy, 3, 2.0, auto_shutdown=auto_shutdown)  # type: ignore[arg-type]
    children = [
        OtpChild(kind.name, kind.restart, "running", kind.counts and auto_shutdown != "never")
        for kind in unique
    ]
    model = OtpSupervisor(
        strategy, 3, 2.0, [] if is_pool else children, auto_shutdown=auto_shutdown
    )
    under = child("sup", Supervisor, spec).options(restart="temporary")
    async with Node("n", supervisor(under)) as node:
        watch = await node.spawn(Watch, downs)
        playing = Play(node.ref("sup"), watch, model, faults, is_pool)
        playing.model_template = unique[0]
        await playing.compare()
        for do in steps:
            await trio.sleep(0.75)
            await playing.step(do)
            await playing.compare()
            if model.shut_down or model.done:
                event("the supervisor ended")
                break
        await wait_all_tasks_blocked()
        for name, refs in playing.refs.items():
            for ref in refs:
                lives = ref is refs[-1] and name in model.running() and not model.done
                if not lives or model.shut_down:
                    assert ref.is_stopped, "whoever is not restarted has ended for good"
                    assert downs.get(ref) == 1, "M4: monitors fire once"
                    try:
                        await ref.ask(Quit())  # type: ignore[arg-type]
                    except ActorStopped:
                        continue
                    raise AssertionError("an ask of a child that has ended was not refused")


@given(
    kinds=st.lists(KINDS, min_size=1, max_size=4),
    strategy=st.sampled_from(["one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"]),
    auto_shutdown=st.sampled_from(["never", "never", "any_significant", "all_significant"]),
    steps=st.lists(STEPS, max_size=14),
    seed=st.integers(0, 2**32),
)
@settings(UNHURRIED, max_examples=400)
def test_ends_and_calls_lead_to_what_otp_gives(
    kinds: list[Kind], strategy: str, auto_shutdown: str, steps: list[Do], seed: int
) -> None:
    """S1, S2, S3, M4: after any ends and calls, children, counts and answers are OTP's."""
    run_virtual(play, kinds, strategy, auto_shutdown, steps, seed=seed)
