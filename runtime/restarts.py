"""Restart decisions, pure: which children stop and start when one has ended.

The rules, from the supervisor page of the Erlang/OTP documentation ("Design Principles" and
`supervisor(3)`):

1. A permanent child is always restarted, a transient one after an abnormal end, a temporary one
   never; a temporary child that has ended, or that a sibling's restart has stopped, is forgotten.
   A transient child that has ended normally stays known: it starts again on order, or with its
   siblings.
2. `one_for_one` restarts the ended child. `one_for_all` stops all others, last first, then starts
   all in order. `rest_for_one` does so with the ended child and those that follow it.
3. A start that fails during a restart is itself a failure of that child: it counts, and is tried
   again by the same strategy, unless a sibling's restart has got to it before.
4. More than `max_restarts` restarts within `within` seconds: the supervisor gives up. A restart
   that is exactly `within` seconds old counts.

5. When a significant child ends of itself and is not restarted, the supervisor ends: with
   `any_significant` at once, with `all_significant` when no significant child is left that runs or
   waits for its restart.
6. Children can be added, stopped on order and forgotten at run time; a stopped child stays known,
   unless it is temporary or of a pool. A pool forgets whoever is not restarted.

Beyond OTP: with a backoff, the n-th restart of a row is put off by
`min(initial * factor ** (n - 1), maximum)` seconds, give or take the jitter; a row ends when
nothing has failed for `within` seconds after a restart. The restart of a sibling that starts the
child as well makes the wait void.

Time is an argument and effects come out in the order in which they must happen. `Wait` comes
alone: `due` gives the effects when its time has come.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Literal

from attrs import frozen

from schedule_zero.runtime.childspec import ChildSpec, Restart, SupervisorSpec


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


@frozen
class End:
    """End in good order, with all children: this significant child has ended."""

    name: str


Effect = Stop | Start | Forget | Wait | Escalate | End


class Restarts:
    """The children of one supervisor, who of them runs, and the restarts of late."""

    def __init__(self, spec: SupervisorSpec, draw: Callable[[], float] = lambda: 0.5) -> None:
        self._spec = spec
        self._draw = draw
        self._is_pool = spec.strategy == "simple_one_for_one"
        self._types: dict[str, Restart] = {}
        self._running: dict[str, bool] = {}
        self._significant: dict[str, None] = {}
        if not self._is_pool:
            for child in spec.children:
                self.add(child)
        self._instants: deque[float] = deque()
        self._row = 0
        self._row_ends = -math.inf
        self._to_restart: dict[str, float] = {}  # failed starts and waits: not before this instant

    @property
    def children(self) -> list[str]:
        """The names of all children, in their order of start."""
        return list(self._types)

    def add(self, child: ChildSpec) -> None:
        """One more child, the last in the order of start; it does not run yet."""
        self._types[child.name] = child.restart
        self._running[child.name] = False
        if child.significant:
            self._significant[child.name] = None

    def state(self, name: str) -> Literal["running", "restarting", "undefined", "unknown"]:
        """What is known of a child: `undefined` is one that neither runs nor will by itself."""
        if name not in self._types:
            return "unknown"
        if self._running[name]:
            return "running"
        return "restarting" if name in self._to_restart else "undefined"

    def stopped(self, name: str) -> None:
        """A child was stopped on order."""
        self._running[name] = False
        self._to_restart.pop(name, None)
        if self._types[name] == "temporary" or self._is_pool:
            self.forget(name)

    def forget(self, name: str) -> None:
        """A child is no longer one of the children."""
        for known in (self._types, self._running, self._significant, self._to_restart):
            known.pop(name, None)

    def started(self, name: str) -> None:
        """A child runs."""
        self._running[name] = True
        self._to_restart.pop(name, None)

    def exited(self, name: str, abnormal: bool, now: float) -> list[Effect]:  # noqa: FBT001
        """A running child has ended of itself."""
        if name not in self._types:
            return [Forget(name)]
        self._running[name] = False
        kind = self._types[name]
        if kind == "permanent" or (kind == "transient" and abnormal):
            return self._restart(name, now)
        is_last = self._ends_all(name)
        effects: list[Effect] = []
        if kind == "temporary" or self._is_pool:
            self.forget(name)
            effects.append(Forget(name))
        return [*effects, End(name)] if is_last else effects

    def _ends_all(self, name: str) -> bool:
        if name not in self._significant:
            return False
        if self._spec.auto_shutdown == "any_significant":
            return True
        return not any(self.state(other) != "undefined" for other in self._significant)

    def start_failed(self, name: str, now: float) -> None:
        """A `Start` of ours has failed: the rest of its effects are void, call `try_again`."""
        self._to_restart[name] = now

    def try_again(self, name: str, now: float) -> list[Effect]:
        """What a failed start leads to, unless the child was dealt with since."""
        if name not in self._to_restart:
            return []
        return self._restart(name, now)

    def due(self, name: str, now: float) -> list[Effect]:
        """The time of a `Wait` has come."""
        if self._to_restart.get(name, math.inf) > now:
            return []
        return self._by_strategy(name)

    def check(self) -> None:
        """Assert what must hold between events."""
        assert self._types.keys() == self._running.keys()
        assert not any(self._running[name] for name in self._to_restart)
        assert list(self._instants) == sorted(self._instants)

    def _restart(self, name: str, now: float) -> list[Effect]:
        spec = self._spec
        self._instants.append(now)
        while self._instants[0] + spec.within < now:
            self._instants.popleft()
        if len(self._instants) > spec.max_restarts:
            return [Escalate(name)]
        if spec.backoff is None:
            return self._by_strategy(name)
        self._row = 1 if now > self._row_ends else self._row + 1
        delay = spec.backoff.delay(self._row, self._draw())
        self._row_ends = now + delay + spec.within
        self._to_restart[name] = now + delay
        return [Wait(name, delay)]

    def _by_strategy(self, name: str) -> list[Effect]:
        names = list(self._types)
        if self._spec.strategy == "rest_for_one":
            names = names[names.index(name) :]
        elif self._spec.strategy != "one_for_all":
            names = [name]
        for other in names:
            self._to_restart.pop(other, None)
        effects: list[Effect] = []
        for other in reversed(names):
            if self._types[other] == "temporary":
                self.forget(other)
                effects.append(Forget(other))
            elif self._running[other]:
                self._running[other] = False
                effects.append(Stop(other))
        return [*effects, *(Start(other) for other in names if other in self._types)]
