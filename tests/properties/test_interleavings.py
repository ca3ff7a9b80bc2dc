"""M2 and the dispatcher's promises, under random programs and a random order of trio's tasks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import trio
from attrs import define, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from schedule_zero.runtime import (
    Actor,
    ActorFailed,
    ActorRef,
    AskTimeout,
    Node,
    Request,
    child,
    handles,
    message,
    supervisor,
)

from ..runtime.actors import Boom
from ..runtime.virtual import UNHURRIED, run_virtual

ACTORS = 4


@frozen
class Step:
    """Part of a program: `sleep`, `checkpoint`, `tell`, `ask`, `task`, `fail`, `stop`."""

    kind: str
    seconds: float = 0.0
    target: int = 0
    work: Work | None = None


@frozen
class Work:
    """What one message makes its receiver do: `def` and `async def` receivers may mix."""

    is_async: bool
    steps: tuple[Step, ...]


@message
class Run(Request[int]):
    """Do this work; `number` counts the messages of one sender to one target."""

    sender: str
    number: int
    work: Work


@message
class RunAsync(Request[int]):
    """The same for the `async def` receiver."""

    sender: str
    number: int
    work: Work


def steps_of(deeper: st.SearchStrategy[Work]) -> st.SearchStrategy[Step]:
    target = st.integers(0, ACTORS - 1)
    seconds = st.sampled_from([0.0, 0.5, 1.0, 3.0])
    return st.one_of(
        st.builds(Step, st.just("sleep"), seconds),
        st.just(Step("checkpoint")),
        st.builds(Step, st.just("tell"), target=target, work=deeper),
        st.builds(Step, st.just("ask"), seconds, target=target, work=deeper),
        st.sampled_from([Step("fail"), Step("stop")]),
    )


def works(deeper: st.SearchStrategy[Work]) -> st.SearchStrategy[Work]:
    return st.builds(Work, st.booleans(), st.lists(steps_of(deeper), max_size=4).map(tuple))


WORKS = works(works(works(st.builds(Work, st.booleans(), st.just(())))))


@define(eq=False)
class Ledger:
    """All sends and handlings of one run."""

    sent: Counter[tuple[str, str]] = field(factory=Counter)
    handled: dict[tuple[str, str], list[int]] = field(factory=dict)
    busy: set[str] = field(factory=set)
    overlaps: list[str] = field(factory=list)
    refs: list[ActorRef] = field(factory=list)

    def make(self, sender: str, target: int, work: Work) -> Run | RunAsync:
        pair = (sender, f"a{target}")
        self.sent[pair] += 1
        return (RunAsync if work.is_async else Run)(sender, self.sent[pair], work)

    def begin(self, path: str, msg: Run | RunAsync) -> None:
        if path in self.busy:
            self.overlaps.append(path)
        self.busy.add(path)
        self.handled.setdefault((msg.sender, path), []).append(msg.number)

    def end(self, path: str) -> None:
        self.busy.discard(path)


class Player(Actor):
    """Does the work that it is told."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    @handles
    def run(self, msg: Run) -> int:
        path = self.context.ref.path
        self.ledger.begin(path, msg)
        try:
            for step in msg.work.steps:
                self.at_once(step)
        finally:
            self.ledger.end(path)
        return msg.number

    @handles
    async def run_async(self, msg: RunAsync) -> int:
        path = self.context.ref.path
        self.ledger.begin(path, msg)
        try:
            for step in msg.work.steps:
                await self.step(step)
        finally:
            self.ledger.end(path)
        return msg.number

    def at_once(self, step: Step) -> None:
        if step.kind == "fail":
            raise Boom
        if step.kind == "stop":
            self.context.stop()
        if step.kind in ("tell", "ask"):
            assert step.work is not None
            target = self.ledger.refs[step.target]
            target.tell(self.ledger.make(self.context.ref.path, step.target, step.work))

    async def step(self, step: Step) -> None:
        if step.kind == "sleep":
            await trio.sleep(step.seconds)
        elif step.kind == "checkpoint":
            await trio.lowlevel.checkpoint()
        elif step.kind == "ask":
            assert step.work is not None
            made = self.ledger.make(self.context.ref.path, step.target, step.work)
            try:
                answer = await self.ledger.refs[step.target].ask(made, timeout=step.seconds + 0.1)
                assert answer == made.number
            except (AskTimeout, ActorFailed):
                pass
        else:
            self.at_once(step)


async def play(programs: list[tuple[int, Work]]) -> Ledger:
    ledger = Ledger()
    names = [f"a{number}" for number in range(ACTORS)]
    spec = supervisor(*(child(n, Player, ledger) for n in names), max_restarts=math.inf)
    async with Node("n", spec) as node:
        ledger.refs = [node.ref(name) for name in names]
        for target, work in programs:
            ledger.refs[target].tell(ledger.make("outside", target, work))
        await trio.sleep(10_000)
    return ledger


def missing(ledger: Ledger) -> Iterator[tuple[str, str]]:
    for pair, count in ledger.sent.items():
        if len(ledger.handled.get(pair, [])) != count:
            yield pair


PROGRAMS = st.lists(st.tuples(st.integers(0, ACTORS - 1), WORKS), min_size=1, max_size=8)


@given(programs=PROGRAMS, seed=st.integers(0, 2**32))
@settings(UNHURRIED, max_examples=300)
def test_every_message_is_handled_once_in_order_and_alone(
    programs: list[tuple[int, Work]], seed: int
) -> None:
    """M1, M2, no lost wake-up: whatever actors do to themselves and each other.

    Mail is kept over restarts, so each message is handled; per sender and receiver in the order
    of sending; and never two by one actor at once, not even by two of its lives.
    """
    ledger = run_virtual(play, programs, seed=seed)

    assert not ledger.overlaps
    assert all(numbers == sorted(numbers) for numbers in ledger.handled.values())
    assert not list(missing(ledger))


@given(programs=PROGRAMS, seed=st.integers(0, 2**32))
@settings(UNHURRIED, max_examples=50)
def test_one_seed_gives_one_history(programs: list[tuple[int, Work]], seed: int) -> None:
    """A failure found by a seed can be played again."""
    first = run_virtual(play, programs, seed=seed)
    second = run_virtual(play, programs, seed=seed)

    assert list(first.handled.items()) == list(second.handled.items())
