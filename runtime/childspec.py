"""Child specs: how a child is made, restarted and stopped, as data. OTP's words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from attrs import evolve, field, frozen

from schedule_zero.runtime.errors import BadChildSpec

if TYPE_CHECKING:
    from schedule_zero.runtime.actor import Actor

Restart = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]
Overflow = Literal["reject", "drop_oldest", "drop_newest"]
Shutdown = float | Literal["kill", "infinity"]

_RESTARTS = ("permanent", "transient", "temporary")
_OVERFLOWS = ("reject", "drop_oldest", "drop_newest")
_STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one")
_AUTO_SHUTDOWNS = ("never", "any_significant", "all_significant")

MAILBOX_CAPACITY = 100_000


@frozen
class ChildSpec:
    """One child: its name, its class with the arguments of its constructor, and its life.

    `restart`: `permanent` children are always restarted, `transient` ones after an abnormal end,
    `temporary` ones never. `shutdown`: seconds the child has to stop before it is killed,
    `"kill"` at once, `"infinity"` for as long as it takes (the default for supervisors).
    `capacity`: how many messages may wait; `overflow`: what a tell does when they do, `reject` or
    `drop_newest` give the new message to the dead letters, `drop_oldest` the one that has waited
    longest. A `significant` child ends its supervisor when it ends, as `auto_shutdown` says.
    """

    name: str
    actor: type[Actor]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(factory=dict)
    restart: Restart = "permanent"
    shutdown: Shutdown = 5.0
    capacity: int = MAILBOX_CAPACITY
    overflow: Overflow = "reject"
    significant: bool = False

    def __attrs_post_init__(self) -> None:
        if not self.name or "/" in self.name:
            raise BadChildSpec(f"child name {self.name!r}: expected a word without '/'")
        if self.restart not in _RESTARTS:
            raise BadChildSpec(
                f"child {self.name!r}: restart={self.restart!r}: expected one of {_RESTARTS}"
            )
        number = isinstance(self.shutdown, (int, float)) and self.shutdown >= 0
        if not number and self.shutdown not in ("kill", "infinity"):
            raise BadChildSpec(
                f"child {self.name!r}: shutdown={self.shutdown!r}: expected seconds (0 or more), "
                "'kill' or 'infinity'"
            )
        if self.overflow not in _OVERFLOWS:
            raise BadChildSpec(
                f"child {self.name!r}: overflow={self.overflow!r}: expected one of {_OVERFLOWS}"
            )
        if self.significant and self.restart == "permanent":
            raise BadChildSpec(
                f"child {self.name!r}: a permanent child cannot be significant, since it never "
                "ends for good: make it transient or temporary"
            )
        if self.capacity < 1:
            raise BadChildSpec(f"child {self.name!r}: capacity={self.capacity}: expected 1 or more")

    def options(
        self,
        *,
        restart: Restart | None = None,
        shutdown: Shutdown | None = None,
        capacity: int | None = None,
        overflow: Overflow | None = None,
        significant: bool | None = None,
    ) -> ChildSpec:
        """The same child with other rules.

        Example::

            child("web", Web, port=8888).options(restart="transient", shutdown=10.0)
        """
        return evolve(
            self,
            restart=self.restart if restart is None else restart,
            shutdown=self.shutdown if shutdown is None else shutdown,
            capacity=self.capacity if capacity is None else capacity,
            overflow=self.overflow if overflow is None else overflow,
            significant=self.significant if significant is None else significant,
        )


@frozen
class Backoff:
    """Puts off the n-th restart of a row: `initial * factor ** (n - 1)` seconds, at most `maximum`.

    A row ends when nothing has failed for the supervisor's `within` seconds after a restart.
    `jitter` is how much a delay may differ from that either way, as a fraction: with it, many nodes
    that lost the same thing do not come back at the same instant.
    """

    initial: float = 0.1
    factor: float = 2.0
    maximum: float = 30.0
    jitter: float = 0.0

    def __attrs_post_init__(self) -> None:
        if not (self.initial >= 0 and self.factor >= 1 and self.maximum >= 0):
            raise BadChildSpec(
                f"{self}: expected initial and maximum of 0 or more, and a factor of 1 or more"
            )
        if not 0 <= self.jitter <= 1:
            raise BadChildSpec(f"{self}: expected a jitter from 0 to 1")

    def delay(self, count: int, draw: float = 0.5) -> float:
        """Seconds to wait before restart number `count` of a row; `draw` is chance, 0 to 1."""
        if not self.initial:
            return 0.0
        try:
            delay = min(self.initial * self.factor ** (count - 1), self.maximum)
        except OverflowError:
            delay = self.maximum
        return delay * (1 + self.jitter * (2 * draw - 1))


@frozen
class SupervisorSpec:
    """The children of a supervisor, in their order of start, and what their failures do."""

    children: tuple[ChildSpec, ...] = ()
    strategy: Strategy = "one_for_one"
    max_restarts: float = 3
    within: float = 5.0
    backoff: Backoff | None = None
    auto_shutdown: AutoShutdown = "never"

    def __attrs_post_init__(self) -> None:
        self._check_combinations()
        if self.strategy not in _STRATEGIES:
            raise BadChildSpec(f"strategy={self.strategy!r}: expected one of {_STRATEGIES}")
        if self.max_restarts < 0 or math.isnan(self.max_restarts):
            raise BadChildSpec(f"max_restarts={self.max_restarts!r}: expected 0 or more")
        if not self.within > 0:
            raise BadChildSpec(f"within={self.within!r}: expected more than 0 seconds")
        names = [child.name for child in self.children]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise BadChildSpec(f"children named twice: {', '.join(twice)}; names must differ")

    def check_child(self, child: ChildSpec) -> None:
        """Raise `BadChildSpec` for a child that this supervisor cannot have."""
        if child.significant and self.auto_shutdown == "never":
            raise BadChildSpec(
                f"significant child {child.name!r} with auto_shutdown='never': choose "
                "any_significant or all_significant"
            )

    def _check_combinations(self) -> None:
        if self.auto_shutdown not in _AUTO_SHUTDOWNS:
            raise BadChildSpec(
                f"auto_shutdown={self.auto_shutdown!r}: expected one of {_AUTO_SHUTDOWNS}"
            )
        for child in self.children:
            self.check_child(child)
        if self.strategy == "simple_one_for_one" and len(self.children) != 1:
            raise BadChildSpec(
                f"a pool (simple_one_for_one) has one child as its template, not "
                f"{len(self.children)}"
            )


def child(name: str, actor: type[Actor], /, *args: Any, **kwargs: Any) -> ChildSpec:
    """A permanent child: `actor(*args, **kwargs)` is called at each start.

    Change its rules with `options`. The child of a supervisor may be a `Supervisor` itself.

    Example::

        child("web", Web, port=8888)
    """
    return ChildSpec(name, actor, args, kwargs, shutdown=actor.default_shutdown)
