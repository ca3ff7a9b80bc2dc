"""Supervisors: actors that start, watch, restart and stop their children. OTP's rules."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import ClassVar, Literal

from attrs import evolve, frozen

from schedule_zero.runtime import restarts
from schedule_zero.runtime.actor import Actor, handles
from schedule_zero.runtime.cell import Cell
from schedule_zero.runtime.children import (
    ChildCounts,
    ChildInfo,
    CountChildren,
    DeleteChild,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
)
from schedule_zero.runtime.childspec import (
    AutoShutdown,
    Backoff,
    ChildSpec,
    Strategy,
    SupervisorSpec,
)
from schedule_zero.runtime.control import ChildExited
from schedule_zero.runtime.errors import (
    BadChildSpec,
    ChildError,
    NameTaken,
    RestartIntensityExceeded,
    StartFailed,
)
from schedule_zero.runtime.reason import SHUTDOWN, Reason
from schedule_zero.runtime.ref import ActorRef
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
    auto_shutdown: AutoShutdown = "never",
) -> SupervisorSpec:
    """The spec of a supervisor: its children in their order of start, and what failures do.

    `strategy`: `one_for_one` restarts the child that ended, `one_for_all` all of them,
    `rest_for_one` it and those after it. More than `max_restarts` restarts within `within`
    seconds and the supervisor fails itself (`math.inf`: never). `backoff` puts restarts off.
    `simple_one_for_one` makes a pool: its one child is a template for those that `StartChild` adds.
    `auto_shutdown` ends the supervisor when `any_significant` child has ended, or all of them.
    Raises `BadChildSpec`.

    Example::

        supervisor(
            child("registry", Registry),
            child("web", Web, port=8888),
            strategy="rest_for_one",
        )
    """
    return SupervisorSpec(children, strategy, max_restarts, within, backoff, auto_shutdown)


class Supervisor(Actor):
    """An actor whose work is its children, as the spec says.

    Nest it with `child("handlers", Supervisor, supervisor(...))`.
    """

    supervises: ClassVar[bool] = True
    default_shutdown: ClassVar[float | Literal["kill", "infinity"]] = "infinity"

    def __init__(self, spec: SupervisorSpec | None = None) -> None:
        self._spec = spec or SupervisorSpec()
        self._is_pool = self._spec.strategy == "simple_one_for_one"
        self._children = {} if self._is_pool else {each.name: each for each in self._spec.children}
        self._workers = 0
        self._restarts = Restarts(self._spec, self.context.node.random.random)

    async def on_start(self) -> None:
        """Start the children in order; the first that fails fails the supervisor."""
        for name in self._restarts.children:
            await self._start(name, None)

    @handles
    async def _start_child(self, msg: StartChild) -> None:
        await self._answer(self._add(msg))

    @handles
    async def _terminate_child(self, msg: TerminateChild) -> None:
        await self._answer(self._terminate(msg.name))

    @handles
    async def _restart_child(self, msg: RestartChild) -> None:
        await self._answer(self._start_again(msg.name))

    @handles
    async def _delete_child(self, msg: DeleteChild) -> None:
        await self._answer(self._delete(msg.name))

    @handles
    def _which_children(self, msg: WhichChildren) -> tuple[ChildInfo, ...]:
        return tuple(self._info(name) for name in self._restarts.children)

    @handles
    def _count_children(self, msg: CountChildren) -> ChildCounts:
        known = [self._children[name] for name in self._restarts.children]
        supervisors = sum(spec.actor.supervises for spec in known)
        active = sum(self._restarts.state(spec.name) == "running" for spec in known)
        return ChildCounts(len(known), active, supervisors, len(known) - supervisors)

    async def _answer(self, work: Awaitable[object]) -> None:
        """Do what was asked; what the asker did wrong is answered, and fails nobody."""
        answer = self.context.reply_later()
        try:
            answer.resolve(await work)
        except (BadChildSpec, ChildError, NameTaken, StartFailed) as error:
            answer.reject(error)

    async def _add(self, msg: StartChild) -> ActorRef:
        spec = self._new_spec(msg)
        if spec.name in self._children or spec.name in self._cell.children:
            raise NameTaken(f"{self.context.ref.path}/{spec.name}".lstrip("/"))
        self._restarts.add(spec)
        self._children[spec.name] = spec
        try:
            await self._start(spec.name, None)
        except StartFailed:
            self._restarts.forget(spec.name)
            await self._forget(spec.name)
            halted = self._cell.children.get(spec.name)
            if halted is not None:
                halted.finish(Reason("failed"))
            raise
        return self._cell.children[spec.name].ref

    def _new_spec(self, msg: StartChild) -> ChildSpec:
        if self._is_pool == (msg.spec is not None):
            wanted = "args of its template" if self._is_pool else "a spec"
            raise ChildError(
                f"supervisor {self.context.ref.path!r}: StartChild takes {wanted} here"
            )
        if msg.spec is not None:
            self._spec.check_child(msg.spec)
            return msg.spec
        self._workers += 1
        template = self._spec.children[0]
        return evolve(
            template,
            name=f"{template.name}-{self._workers}",
            args=(*template.args, *msg.args),
            kwargs={**template.kwargs, **msg.kwargs},
        )

    async def _terminate(self, name: str) -> None:
        self._known(name, "running", "restarting", "undefined")
        cell = self._cell.children.get(name)
        if cell is not None:
            await self._cell.stop_child(cell, "finish")
        self._restarts.stopped(name)
        if self._restarts.state(name) == "unknown":
            del self._children[name]

    async def _start_again(self, name: str) -> ActorRef:
        self._known(name, "undefined")
        await self._start(name, None)
        return self._cell.children[name].ref

    async def _delete(self, name: str) -> None:
        self._known(name, "undefined")
        self._restarts.forget(name)
        await self._forget(name)

    def _known(self, name: str, *allowed: str) -> None:
        state = self._restarts.state(name)
        if state not in allowed:
            raise ChildError(
                f"child {name!r} of supervisor {self.context.ref.path!r} is {state}: "
                f"expected {' or '.join(allowed)}"
            )

    def _info(self, name: str) -> ChildInfo:
        state, spec = self._restarts.state(name), self._children[name]
        cell = self._cell.children.get(name)
        ref = cell.ref if cell is not None and state == "running" else None
        shown = "undefined" if state == "unknown" else state
        return ChildInfo(name, ref, shown, spec.restart, spec.actor.__qualname__)

    @handles
    async def _exited(self, msg: ChildExited) -> None:
        child = msg.child
        if msg.life != child.life or not child.is_halted:
            return  # it was restarted or ended with a sibling meanwhile
        abnormal = msg.reason.is_abnormal
        await self._do(self._restarts.exited(child.name, abnormal, self._now()), msg.reason)
        if self._restarts.state(child.name) in ("undefined", "unknown"):
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
                except (NameTaken, StartFailed) as error:
                    self.context.log.error("%s", error, exc_info=error.__cause__)
                    self._restarts.start_failed(effect.name, self._now())
                    self._cell.post(_Retry(effect.name, Reason("failed", error)))
                    return
            elif isinstance(effect, restarts.Stop):
                await self._cell.stop_child(self._cell.children[effect.name], "halt")
            elif isinstance(effect, restarts.Forget):
                await self._forget(effect.name)
            elif isinstance(effect, restarts.Wait):
                self.context.timers.after(effect.delay, _Due(effect.name, reason))
            elif isinstance(effect, restarts.End):
                self._cell.end(SHUTDOWN)
            else:
                spec = self._spec
                raise RestartIntensityExceeded(
                    self._cell.path, int(spec.max_restarts), spec.within, effect.name
                ) from reason.error

    async def _start(self, name: str, failure: Reason | None) -> None:
        cell = self._cell.children.get(name)
        if cell is None:
            cell = self._cell.spawn(self._children[name])
        elif cell.spec is self._children[name]:
            cell.start(failure)
        else:
            raise NameTaken(cell.path)  # someone else has spawned an actor of this name here
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
