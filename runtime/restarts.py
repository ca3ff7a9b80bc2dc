"""Restart decisions, pure: which children stop and start when one has ended.

The rules, from the supervisor page of the Erlang/OTP documentation ("Design Principles" and
`supervisor(3)`):

1. A permanent child is always restarted, a transient one after an abnormal end, a temporary one
   never; a temporary child that has ended, or that a sibling's restart has stopped, is forgotten.
2. `one_for_one` restarts the ended child. `one_for_all` stops all others, last first, then starts
   all in order. `rest_for_one` does so with the ended child and those that follow it.
3. A start that fails during a restart is itself a failure of that child: it counts, and is tried
   again by the same strategy.
4. More than `max_restarts` restarts within `within` seconds: the supervisor gives up.

Beyond OTP: with a backoff, the n-th restart within the window is put off by
`min(initial * factor ** (n - 1), maximum)` seconds; a failure meanwhile starts the count anew.

Time is an argument and effects come out in the order in which they must happen. `Wait` comes
alone: `due` gives the effects when its time has come.
"""

from __future__ import annotations

from collections import deque

from attrs import frozen

from schedule_zero.runtime.childspec import Restart, SupervisorSpec


@frozen
class Stop:
    """Stop this child; it may be started again."""

    name: str


@frozen
class Start:
    """Start this child."""

    name: str


@frozen
class Forget:
    """End this child for good: it is no longer one of the children."""

    name: str


@frozen
class Wait:
    """Call `due` for this child in `delay` seconds."""

    name: str
    delay: float


@frozen
class Escalate:
    """Give up because of this child: end with all children."""

    name: str


Effect = Stop | Start | Forget | Wait | Escalate


class Restarts:
    """The children of one supervisor, who of them runs, and the restarts of late."""

    def __init__(self, spec: SupervisorSpec) -> None:
        self._spec = spec
        self._types: dict[str, Restart] = {child.name: child.restart for child in spec.children}
        self._running: dict[str, bool] = dict.fromkeys(self._types, False)
        self._instants: deque[float] = deque()

    @property
    def children(self) -> list[str]:
        """The names of all children, in their order of start."""
        return list(self._types)

    def started(self, name: str) -> None:
        """A child runs."""
        self._running[name] = True

    def exited(self, name: str, abnormal: bool, now: float) -> list[Effect]:  # noqa: FBT001
        """A running child has ended of itself."""
        if name not in self._types:
            return [Forget(name)]
        self._running[name] = False
        kind = self._types[name]
        if kind == "temporary":
            del self._types[name], self._running[name]
            return [Forget(name)]
        if kind == "transient" and not abnormal:
            return []
        return self._restart(name, now)

    def start_failed(self, name: str, now: float) -> list[Effect]:
        """A `Start` of ours has failed."""
        self._running[name] = False
        return self._restart(name, now)

    def due(self, name: str) -> list[Effect]:
        """The time of a `Wait` has come."""
        if name not in self._types or self._running[name]:
            return []
        return self._by_strategy(name)

    def check(self) -> None:
        """Assert what must hold between events."""
        assert self._types.keys() == self._running.keys()
        assert list(self._instants) == sorted(self._instants)

    def _restart(self, name: str, now: float) -> list[Effect]:
        spec = self._spec
        self._instants.append(now)
        while self._instants[0] <= now - spec.within:
            self._instants.popleft()
        if len(self._instants) > spec.max_restarts:
            return [Escalate(name)]
        if spec.backoff is None:
            return self._by_strategy(name)
        return [Wait(name, spec.backoff.delay(len(self._instants)))]

    def _by_strategy(self, name: str) -> list[Effect]:
        names = list(self._types)
        if self._spec.strategy == "one_for_one":
            return [Start(name)]
        if self._spec.strategy == "rest_for_one":
            names = names[names.index(name) :]
        effects: list[Effect] = []
        for other in reversed(names):
            if self._types[other] == "temporary":
                del self._types[other], self._running[other]
                effects.append(Forget(other))
            elif self._running[other]:
                self._running[other] = False
                effects.append(Stop(other))
        return [*effects, *(Start(other) for other in names if other in self._types)]
