"""Supervisors: actors that start, watch, restart and stop their children. OTP's rules."""

from __future__ import annotations

from typing import ClassVar, Literal

from attrs import frozen

from schedule_zero.runtime import restarts
from schedule_zero.runtime.actor import Actor, handles
from schedule_zero.runtime.cell import Cell
from schedule_zero.runtime.childspec import Backoff, ChildSpec, Strategy, SupervisorSpec
from schedule_zero.runtime.control import ChildExited
from schedule_zero.runtime.errors import RestartIntensityExceeded, StartFailed
from schedule_zero.runtime.reason import Reason
from schedule_zero.runtime.restarts import Effect, Restarts


@frozen
class Restarted:
    """A node event: this actor was started again after `failure`; it is its `count`-th life."""

    path: str
    failure: str
    count: int


@frozen
class _Due:
    """A put-off restart of this child is due."""

    name: str
    reason: Reason


@frozen
class _Retry:
    """A start during a restart has failed; a message, so that a stop can overtake the retry."""

    name: str
    reason: Reason


def supervisor(
    *children: ChildSpec,
    strategy: Strategy = "one_for_one",
    max_restarts: float = 3,
    within: float = 5.0,
    backoff: Backoff | None = None,
) -> SupervisorSpec:
    """The spec of a supervisor: its children in their order of start, and what failures do.

    `strategy`: `one_for_one` restarts the child that ended, `one_for_all` all of them,
    `rest_for_one` it and those after it. More than `max_restarts` restarts within `within`
    seconds and the supervisor fails itself (`math.inf`: never). `backoff` puts restarts off.
    Raises `BadChildSpec`.

    Example::

        supervisor(
            child("registry", Registry),
            child("web", Web, port=8888),
            strategy="rest_for_one",
        )
    """
    return SupervisorSpec(children, strategy, max_restarts, within, backoff)


class Supervisor(Actor):
    """An actor whose work is its children, as the spec says.

    Nest it with `child("handlers", Supervisor, supervisor(...))`.
    """

    supervises: ClassVar[bool] = True
    default_shutdown: ClassVar[float | Literal["kill", "infinity"]] = "infinity"

    def __init__(self, spec: SupervisorSpec | None = None) -> None:
        self._spec = spec or SupervisorSpec()
        self._children = {child.name: child for child in self._spec.children}
        self._restarts = Restarts(self._spec)

    async def on_start(self) -> None:
        """Start the children in order; the first that fails fails the supervisor."""
        for name in self._restarts.children:
            await self._start(name, None)

    @handles
    async def _exited(self, msg: ChildExited) -> None:
        child = msg.child
        if msg.life != child.life or not child.is_halted:
            return  # it was restarted or ended with a sibling meanwhile
        abnormal = msg.reason.is_abnormal
        await self._do(self._restarts.exited(child.name, abnormal, self._now()), msg.reason)
        if child.name not in self._children:
            child.finish(msg.reason)

    @handles
    async def _retry(self, msg: _Retry) -> None:
        await self._do(self._restarts.try_again(msg.name, self._now()), msg.reason)

    @handles
    async def _due(self, msg: _Due) -> None:
        await self._do(self._restarts.due(msg.name, self._now()), msg.reason)

    async def _do(self, effects: list[Effect], reason: Reason) -> None:
        """Carry effects out, in their order."""
        for effect in effects:
            if isinstance(effect, restarts.Start):
                try:
                    await self._start(effect.name, reason)
                except StartFailed as error:
                    self.context.log.error("%s", error, exc_info=error.cause)
                    self._restarts.start_failed(effect.name, self._now())
                    self._cell.post(_Retry(effect.name, Reason("failed", error)))
                    return
            elif isinstance(effect, restarts.Stop):
                await self._cell.stop_child(self._cell.children[effect.name], "halt")
            elif isinstance(effect, restarts.Forget):
                await self._forget(effect.name)
            elif isinstance(effect, restarts.Wait):
                self.context.timers.after(effect.delay, _Due(effect.name, reason))
            else:
                spec = self._spec
                raise RestartIntensityExceeded(
                    self._cell.path, int(spec.max_restarts), spec.within, effect.name
                ) from reason.error

    async def _start(self, name: str, failure: Reason | None) -> None:
        cell = self._cell.children.get(name)
        if cell is None:
            cell = self._cell.spawn(self._children[name])
        else:
            cell.start(failure)
        await cell.wait_started()
        self._restarts.started(name)
        if failure is not None:
            self.context.node.events.publish(Restarted(cell.path, str(failure), cell.life))

    async def _forget(self, name: str) -> None:
        self._children.pop(name, None)
        cell = self._cell.children.get(name)
        if cell is not None and not cell.is_halted:
            await self._cell.stop_child(cell, "finish")

    def _now(self) -> float:
        return self.context.node.clock.monotonic()

    @property
    def _cell(self) -> Cell:
        return self.context._cell
