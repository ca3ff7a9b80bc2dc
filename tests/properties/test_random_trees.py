"""S1 and S2 on real trees: random supervision trees, random ends, random start failures."""

from __future__ import annotations

from collections.abc import Iterator

import trio
from attrs import define, field, frozen
from hypothesis import event, given, settings
from hypothesis import strategies as st

from schedule_zero.runtime import ChildSpec, Node, NodeFailed, Supervisor, SupervisorSpec, child

from ..runtime.actors import Crash, Diarist, Diary, Quit
from ..runtime.otp import OtpChild, OtpSupervisor
from ..runtime.virtual import UNHURRIED, run_virtual


@frozen
class Leaf:
    """A worker."""

    restart: str


@frozen
class Branch:
    """A supervisor; its own restart type counts where it is not the root."""

    strategy: str
    max_restarts: int
    within: float
    below: tuple[Leaf | Branch, ...]
    restart: str = "permanent"


@frozen
class End:
    """Ends the leaf number `which` of those that run, after `wait` seconds."""

    which: int
    abnormal: bool
    wait: float
    failing_starts: tuple[tuple[int, int], ...]  # which leaf, how many starts


RESTARTS = st.sampled_from(["permanent", "permanent", "transient", "temporary"])
LEAVES = st.builds(Leaf, RESTARTS)


def branches(below: st.SearchStrategy[Leaf | Branch]) -> st.SearchStrategy[Branch]:
    return st.builds(
        Branch,
        st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"]),
        st.integers(0, 4),
        st.sampled_from([1.0, 4.0]),
        st.lists(below, min_size=1, max_size=4).map(tuple),
        RESTARTS,
    )


TREES = branches(st.one_of(LEAVES, branches(st.one_of(LEAVES, branches(LEAVES)))))
ENDS = st.builds(
    End,
    st.integers(0, 20),
    st.booleans(),
    st.integers(0, 8).map(lambda number: number / 4),
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 2)), max_size=2).map(tuple),
)


def leaves(tree: Branch, above: str = "") -> Iterator[str]:
    for number, below in enumerate(tree.below):
        path = f"{above}{number}"
        if isinstance(below, Leaf):
            yield path
        else:
            yield from leaves(below, f"{path}/")


def spec_of(tree: Branch, diary: Diary) -> SupervisorSpec:
    children: list[ChildSpec] = []
    for number, below in enumerate(tree.below):
        if isinstance(below, Leaf):
            made = child(str(number), Diarist, diary)
        else:
            made = child(str(number), Supervisor, spec_of(below, diary))
        children.append(made.options(restart=below.restart))  # type: ignore[arg-type]
    return SupervisorSpec(tuple(children), tree.strategy, tree.max_restarts, tree.within)  # type: ignore[arg-type]


@define(eq=False)
class Model:
    """A tree of OTP supervisors: one that gives up is an abnormal end of its parent's child."""

    tree: Branch
    faulty: dict[str, int]
    above: str = ""
    now: float = 0.0
    below: dict[str, Model] = field(factory=dict)
    otp: OtpSupervisor = field(init=False)

    def start(self) -> bool:
        """Start a fresh supervisor with its children; false when one of them does not start."""
        children = [OtpChild(str(n), below.restart) for n, below in enumerate(self.tree.below)]
        tree = self.tree
        self.otp = OtpSupervisor(
            tree.strategy, tree.max_restarts, tree.within, children, self._start_child
        )
        for one in children:
            if not self._start_child(one.id):
                return False
            one.state = "running"
        return True

    def _start_child(self, name: str) -> bool:
        path = f"{self.above}{name}"
        below = self.tree.below[int(name)]
        if isinstance(below, Branch):
            self.below[name] = Model(below, self.faulty, f"{path}/", self.now)
            return self.below[name].start()
        if self.faulty.get(path):
            self.faulty[path] -= 1
            return False
        return True

    def running(self) -> set[str]:
        found: set[str] = set()
        for name in self.otp.running():
            if name in self.below:
                found |= self.below[name].running()
            else:
                found.add(f"{self.above}{name}")
        return found

    def end(self, names: list[str], abnormal: bool, now: float) -> None:
        """The leaf below `names` ends; then all that follows, up to this supervisor."""
        self.now = now
        name, *rest = names
        if rest:
            self.below[name].end(rest, abnormal, now)
            if not self.below[name].otp.shut_down:
                return
            abnormal = True
        self.otp.exit(name, abnormal, now)
        while not self.otp.shut_down and (waiting := self.otp.restarting()):
            self.otp.try_again(waiting.pop(), now)


async def play(tree: Branch, ends: list[End]) -> None:
    diary = Diary()
    model = Model(tree, {})
    assert model.start()
    everywhere = list(leaves(tree))
    async with Node("n", spec_of(tree, diary)) as node:
        assert diary.alive == model.running() == set(everywhere)
        for end in ends:
            await trio.sleep(end.wait)
            running = sorted(diary.alive)
            if not running:
                break
            model.faulty = {everywhere[n % len(everywhere)]: k for n, k in end.failing_starts}
            diary.faulty = {path: [False] * count for path, count in model.faulty.items()}
            _share(model)
            path = running[end.which % len(running)]
            node.ref(path).tell(Crash() if end.abnormal else Quit())
            model.end(path.split("/"), end.abnormal, trio.current_time())
            event("the node gives up" if model.otp.shut_down else "the node lives")
            await trio.testing.wait_all_tasks_blocked()
            assert not diary.overlaps, "S2"
            assert not model.otp.shut_down, "the root must have given up"
            assert diary.alive == model.running(), "S1"
    assert diary.alive == set()


def _share(model: Model) -> None:
    for below in model.below.values():
        below.faulty = model.faulty
        _share(below)


@given(tree=TREES, ends=st.lists(ENDS, max_size=12), seed=st.integers(0, 2**32))
@settings(UNHURRIED, max_examples=250)
def test_a_tree_ends_up_as_otp_says(tree: Branch, ends: list[End], seed: int) -> None:
    """S1, S2: after any ends and start failures, those run that OTP's rules let run."""
    try:
        run_virtual(play, tree, ends, seed=seed)
    except NodeFailed:
        assert _gives_up(tree, ends)


def _gives_up(tree: Branch, ends: list[End]) -> bool:
    """Whether the model alone, played the same way, gives up."""
    model = Model(tree, {})
    model.start()
    everywhere, now = list(leaves(tree)), 0.0
    for end in ends:
        now += end.wait
        running = sorted(model.running())
        if not running:
            return False
        model.faulty = {everywhere[n % len(everywhere)]: count for n, count in end.failing_starts}
        _share(model)
        path = running[end.which % len(running)]
        model.end(path.split("/"), end.abnormal, now)
        if model.otp.shut_down:
            return True
    return False
