"""OTP's supervisor, literally: a model written from `supervisor(3)` and the design principles.

It knows nothing of our code. Quotations are from the documentation of Erlang/OTP 27. Two points
the prose leaves open follow `supervisor.erl`: a restart that is exactly `period` seconds old still
counts, and a child that ended and was not restarted is started again with `one_for_all`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import define, field

State = Literal["running", "restarting", "undefined"]


@define
class OtpChild:
    """One child specification and what `which_children/1` says of it."""

    id: str
    restart: str
    state: State = "undefined"
    significant: bool = False


@define
class OtpSupervisor:
    """A supervisor after `init/1`; `starts` answers whether a start of this child succeeds.

    `trace` lists what was done to children, in order.
    """

    strategy: str
    intensity: float
    period: float
    children: list[OtpChild]
    starts: Callable[[str], bool] = lambda _: True
    auto_shutdown: str = "never"
    trace: list[tuple[str, str]] = field(factory=list)
    restarts: list[float] = field(factory=list)
    shut_down: bool = False
    done: bool = False

    def running(self) -> set[str]:
        return {child.id for child in self.children if child.state == "running"}

    def restarting(self) -> set[str]:
        return {child.id for child in self.children if child.state == "restarting"}

    def start_all(self) -> None:
        """ "The children are started in the order they are listed, left to right." """
        for child in self.children:
            self.trace.append(("start", child.id))
            child.state = "running"

    def exit(self, name: str, abnormal: bool, now: float) -> None:
        """A child ends of itself.

        "A permanent child process is always restarted. A temporary child process is never
        restarted [...]. A transient child process is restarted only if it terminates abnormally."
        """
        child = self._find(name)
        assert child is not None
        assert child.state == "running"
        child.state = "undefined"
        if child.restart == "permanent" or (child.restart == "transient" and abnormal):
            self._restart(child, now)
            return
        if child.restart == "temporary" or self.strategy == "simple_one_for_one":
            self._forget(child)
        self._maybe_shut_down(child)

    def _maybe_shut_down(self, child: OtpChild) -> None:
        """ "any_significant: the supervisor will shut itself down when any significant child
        terminates, that is, when a transient significant child terminates normally or when a
        temporary significant child terminates normally or abnormally. all_significant: [...] when
        all significant children have terminated, that is, when the last active significant child
        terminates."
        """
        if not child.significant or self.auto_shutdown == "never":
            return
        others = [each for each in self.children if each.significant and each.state != "undefined"]
        if self.auto_shutdown == "any_significant" or not others:
            self._terminate(self.children)
            self.done = True

    # The functions of supervisor(3) that are called from outside

    def start_child(self, child: OtpChild) -> str:
        """ "If there already exists a child specification with the specified identifier,
        ChildSpec is discarded, and the function returns {error,already_present} or
        {error,{already_started,Child}}". "If the child start function returns an error tuple [...]
        the child specification is discarded". A significant child needs an auto_shutdown.
        """
        if child.significant and self.auto_shutdown == "never":
            return "bad_combination"
        known = self._find(child.id)
        if known is not None:
            return "already_present" if known.state == "undefined" else "already_started"
        if not self.starts(child.id):
            return "start_error"
        child.state = "running"
        self.children.append(child)
        return "ok"

    def terminate_child(self, name: str) -> str:
        """ "The process, if any, is terminated and, unless it is a temporary child, the child
        specification is kept by the supervisor." Of a pool nothing is kept. No auto-shutdown: "only
        when significant children terminate by themselves".
        """
        child = self._find(name)
        if child is None:
            return "not_found"
        child.state = "undefined"
        if child.restart == "temporary" or self.strategy == "simple_one_for_one":
            self._forget(child)
        return "ok"

    def restart_child(self, name: str) -> str:
        """ "The child specification must exist, and the corresponding child process must not be
        running." A start that fails leaves it so.
        """
        child = self._find(name)
        if child is None:
            return "not_found"
        if child.state != "undefined":
            return child.state
        if not self.starts(name):
            return "start_error"
        child.state = "running"
        return "ok"

    def delete_child(self, name: str) -> str:
        """ "The corresponding child process must not be running." """
        child = self._find(name)
        if child is None:
            return "not_found"
        if child.state != "undefined":
            return child.state
        self._forget(child)
        return "ok"

    def which_children(self) -> list[tuple[str, State]]:
        """ "Returns a newly created list with information about all child specifications and child
        processes"; here in the order of start.
        """
        return [(child.id, child.state) for child in self.children]

    def count_children(self) -> tuple[int, int]:
        """ "specs: the total count of children, dead or alive. active: the count of all actively
        running child processes".
        """
        return len(self.children), len(self.running())

    def try_again(self, name: str, now: float) -> None:
        """The supervisor comes back to a start that failed during a restart."""
        child = self._find(name)
        if child is not None and child.state == "restarting":
            self._restart(child, now)

    def _restart(self, child: OtpChild, now: float) -> None:
        """ "If more than MaxR number of restarts occur in the last MaxT seconds, the supervisor
        terminates all the child processes and then itself."
        """
        self.restarts = [then for then in [*self.restarts, now] if now <= then + self.period]
        if len(self.restarts) > self.intensity:
            self._terminate(self.children)
            self.shut_down = True
            return
        affected = self._affected(child)
        self._terminate(affected)
        self._start(affected)

    def _affected(self, child: OtpChild) -> list[OtpChild]:
        if self.strategy in ("one_for_one", "simple_one_for_one"):
            return [child]
        if self.strategy == "one_for_all":
            return list(self.children)
        return self.children[self.children.index(child) :]

    def _terminate(self, children: list[OtpChild]) -> None:
        """Reverse order of start. A temporary child is forgotten "even when the supervisor's
        restart strategy is rest_for_one or one_for_all and a sibling's death causes the temporary
        process to be terminated".
        """
        for child in reversed(list(children)):
            if child.state == "running":
                self.trace.append(("stop", child.id))
            child.state = "undefined"
            if child.restart == "temporary":
                self._forget(child)

    def _start(self, children: list[OtpChild]) -> None:
        """In order; the first that fails is tried again, those after it wait for that."""
        for child in children:
            if child not in self.children:
                continue
            self.trace.append(("start", child.id))
            if not self.starts(child.id):
                child.state = "restarting"
                return
            child.state = "running"

    def _forget(self, child: OtpChild) -> None:
        self.children.remove(child)

    def _find(self, name: str) -> OtpChild | None:
        return next((child for child in self.children if child.id == name), None)
