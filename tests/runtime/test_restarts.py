"""The pure restart decisions against OTP's documented rules (S1, S3)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schedule_zero.runtime import Actor, Backoff, SupervisorSpec, child
from schedule_zero.runtime.restarts import Effect, Escalate, Forget, Restarts, Start, Stop, Wait

from .otp import OtpChild, OtpSupervisor
from .restart_scripts import SCRIPTS, run_script
from .virtual import UNHURRIED

RESTARTS = st.sampled_from(["permanent", "transient", "temporary"])
STRATEGIES = st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"])
QUARTERS = st.integers(0, 16).map(lambda number: number / 4)  # exact, so that windows' edges meet
STARTS = st.lists(st.booleans(), max_size=6)


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_script_of_events_has_its_effects(path: Path) -> None:
    expected, actual = run_script(path.read_text())

    assert actual == expected


class AgainstOtp(RuleBasedStateMachine):
    """S1, S3: after any events the same children run, by the same steps, as OTP's rules give."""

    @initialize(
        strategy=STRATEGIES,
        kinds=st.lists(RESTARTS, min_size=1, max_size=5),
        max_restarts=st.integers(0, 6),
        within=st.sampled_from([0.5, 2.0, 4.0]),
    )
    def begin(self, strategy: str, kinds: list[str], max_restarts: int, within: float) -> None:
        named = [(f"c{number}", kind) for number, kind in enumerate(kinds)]
        specs = tuple(child(name, Actor).options(restart=kind) for name, kind in named)  # type: ignore[arg-type]
        self.core = Restarts(SupervisorSpec(specs, strategy, max_restarts, within))  # type: ignore[arg-type]
        children = [OtpChild(name, kind) for name, kind in named]
        self.model = OtpSupervisor(strategy, max_restarts, within, children)
        self.now = 0.0
        self.trace: list[tuple[str, str]] = []
        self.running: list[str] = []
        self.retries: list[str] = []
        self.escalated = False
        self.model.start_all()
        self.carry_out([Start(name) for name in self.core.children], [])

    def carry_out(self, effects: list[Effect], outcomes: list[bool]) -> None:
        """Do as the supervisor does; `outcomes` says which starts succeed (then all)."""
        left = list(outcomes)
        for effect in effects:
            match effect:
                case Start(name):
                    assert name not in self.running, "S2: two lives of one child"
                    self.trace.append(("start", name))
                    if left and not left.pop(0):
                        self.core.start_failed(name, self.now)
                        self.retries.append(name)
                        return
                    self.core.started(name)
                    self.running.append(name)
                case Stop(name):
                    assert name in self.running
                    self._stop(name)
                case Forget(name):
                    if name in self.running:
                        self._stop(name)
                case Escalate():
                    for name in sorted(self.running, reverse=True):
                        self._stop(name)
                    self.escalated = True
                case Wait():
                    raise AssertionError("no backoff, no wait")

    def _stop(self, name: str) -> None:
        self.running.remove(name)
        self.trace.append(("stop", name))

    def _model_starts(self, outcomes: list[bool]) -> None:
        left = list(outcomes)
        self.model.starts = lambda _: not left or left.pop(0)

    @precondition(lambda self: not self.escalated and self.running)
    @rule(which=st.integers(0, 4), abnormal=st.booleans(), wait=QUARTERS, outcomes=STARTS)
    def a_child_ends(self, which: int, abnormal: bool, wait: float, outcomes: list[bool]) -> None:
        self.now += wait
        name = self.running.pop(which % len(self.running))
        self._model_starts(outcomes)
        self.model.exit(name, abnormal, self.now)
        self.carry_out(self.core.exited(name, abnormal, self.now), outcomes)

    @precondition(lambda self: self.escalated or not self.running)
    @rule()
    def nothing_is_left_to_happen(self) -> None:
        """An escalated supervisor decides nothing more."""

    @precondition(lambda self: not self.escalated and self.retries)
    @rule(wait=QUARTERS, outcomes=STARTS)
    def a_failed_start_is_tried_again(self, wait: float, outcomes: list[bool]) -> None:
        self.now += wait
        name = self.retries.pop(0)
        self._model_starts(outcomes)
        self.model.try_again(name, self.now)
        self.carry_out(self.core.try_again(name, self.now), outcomes)

    @invariant()
    def as_otp(self) -> None:
        if not hasattr(self, "core"):
            return
        self.core.check()
        assert self.trace == self.model.trace
        assert set(self.running) == self.model.running()
        assert self.escalated == self.model.shut_down


AgainstOtp.TestCase.settings = settings(UNHURRIED, max_examples=250, stateful_step_count=25)
test_any_events_lead_to_what_otp_gives = AgainstOtp.TestCase


@given(
    gaps=st.lists(QUARTERS, min_size=1, max_size=20),
    max_restarts=st.integers(0, 5),
    within=QUARTERS.filter(bool),
)
def test_it_gives_up_at_the_first_restart_that_is_one_too_many(
    gaps: list[float], max_restarts: int, within: float
) -> None:
    """S3: `max_restarts + 1` restarts fit into `within` seconds if and only if it escalates."""
    core = Restarts(SupervisorSpec((child("a", Actor),), "one_for_one", max_restarts, within))
    core.started("a")
    instants: list[float] = []
    for gap in gaps:
        instants.append(gap + (instants[-1] if instants else 0.0))
        effects = core.exited("a", True, instants[-1])
        recent = [instant for instant in instants if instants[-1] - instant <= within]
        if len(recent) > max_restarts:
            assert effects == [Escalate("a")]
            return
        assert effects == [Start("a")]
        core.started("a")


@given(
    initial=st.floats(0, 10),
    factor=st.floats(1, 10),
    maximum=st.floats(0, 1000),
    count=st.integers(1, 5000),
)
def test_a_backoff_grows_and_stays_within_its_maximum(
    initial: float, factor: float, maximum: float, count: int
) -> None:
    """Whatever the count, the delay is a number from 0 to `maximum`, and never falls."""
    backoff = Backoff(initial, factor, maximum)

    assert 0 <= backoff.delay(count) <= backoff.delay(count + 1) <= maximum
