"""The executor: claims runs whose handlers are here, has them done, and records how they ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import trio
from attrs import frozen

from schedule_zero.actors.errors import BadCall, BadData, NoHandler
from schedule_zero.actors.executor.core import AHEAD, Executions
from schedule_zero.actors.executor.messages import (
    Call,
    GetStatistics,
    Statistics,
    Withdraw,
    WorkPlanned,
)
from schedule_zero.actors.executor.recorder import Recorder, plain_text
from schedule_zero.actors.handler.messages import Invoke
from schedule_zero.actors.registry.messages import Listing, Subscribe
from schedule_zero.actors.store import Finish, Run, Start, Store, new_run
from schedule_zero.actors.store.access import StoreAccess
from schedule_zero.runtime import (
    Actor,
    ActorFailed,
    ActorRef,
    DeliveryError,
    Pending,
    Reason,
    handles,
)

RECONCILE = 1.0
LEASE = 30.0
DRAIN = 10.0
_GRACE = 5.0


@frozen
class _Due:
    """To itself: a waiting run is due."""


class Executor(Actor):
    """Claims runs of the handlers that the registry lists, and sends each as an `Invoke`.

    `owner` is `node@incarnation`. A claim is leased for `lease` seconds and renewed; runs whose
    claim was lost are given up here (fenced). Stopping waits up to `drain` seconds for what runs
    and hands back what has not started.
    """

    def __init__(
        self,
        store: StoreAccess,
        owner: str,
        registry: str = "registry",
        lease: float = LEASE,
        drain: float = DRAIN,
    ) -> None:
        self._store = store
        self._owner = owner
        self._registry = registry
        self._lease = lease
        self._drain = drain
        self._runs: Executions[ActorRef] = Executions()
        self._recorder = Recorder(store, self.context.node, self._lost)
        self._callers: dict[UUID, Pending] = {}
        self._scopes: dict[UUID, trio.CancelScope] = {}
        self._wake = trio.Event()
        self._idle = trio.Event()
        self._known: list[str] = []
        self._is_stopping = False
        self._ended = self._fenced = 0
        self._due_at: datetime | None = None

    def on_start(self) -> None:
        """Listen to the registry and begin to claim."""
        self.context.node.ref(self._registry).tell(Subscribe(self.context.ref))
        for loop in (self._claim_forever, self._renew_forever, self._sweep_forever):
            self.context.start_task(loop)
        self.context.start_task(self._recorder.run)

    async def on_stop(self, reason: Reason) -> None:
        """Drain: hand back what waits, wait for what runs, record it all."""
        self._is_stopping = True
        with trio.move_on_after(self._drain):
            await self._hand_back(self._runs.withdraw_all())
            while self._runs.running:
                self._idle = trio.Event()
                await self._idle.wait()
        for scope in list(self._scopes.values()):
            scope.cancel()
        with trio.move_on_after(self._drain):
            await self._recorder.flush()
        for caller in self._callers.values():
            caller.reject(BadCall("the node is stopping; the run stays in the ledger"))

    # Messages

    @handles
    def _hint(self, msg: WorkPlanned) -> None:
        self._wake.set()

    @handles
    def _start_due(self, msg: _Due) -> None:
        self._due_at = None
        self._start()

    @handles
    def _listing(self, msg: Listing) -> None:
        instances: dict[str, Sequence[ActorRef]] = {
            entry.handler: entry.instances for entry in msg.entries
        }
        self._known = list(instances)
        orphans = self._runs.set_instances(instances)
        if orphans:
            self.context.start_task(self._hand_back, orphans)
        self._wake.set()

    @handles
    def _withdraw(self, msg: Withdraw) -> None:
        withdrawn = self._runs.withdraw(msg.schedule_id)
        if withdrawn:
            self.context.start_task(self._hand_back, withdrawn)

    @handles
    def _call(self, msg: Call) -> None:
        answer = self.context.reply_later()
        if msg.handler not in self._known:
            answer.reject(NoHandler(msg.handler, self._known))
        elif self._is_stopping:
            answer.reject(BadCall("the node is stopping"))
        else:
            self.context.start_task(self._submit, msg, answer)

    @handles
    def _statistics(self, msg: GetStatistics) -> Statistics:
        return Statistics(
            self._runs.waiting,
            len(self._runs.running),
            self._ended,
            self._fenced,
            self._store.is_ready,
        )

    # Claims

    async def _submit(self, msg: Call, answer: Pending) -> None:
        now = self._now()
        run = new_run(
            self.context.node.random.new_id(), msg.handler, msg.method, msg.params, now, msg.timeout
        )
        self._callers[run.run_id] = answer
        try:
            await self._store.call(self.context.node, Store.submit, [run], now)
        except BadData as error:
            del self._callers[run.run_id]
            answer.reject(BadCall(f"{msg.handler}.{msg.method}: its parameters: {error}"))
        self._wake.set()

    async def _claim_forever(self) -> None:
        while not self._is_stopping:
            with trio.move_on_after(RECONCILE):
                await self._wake.wait()
            self._wake = trio.Event()
            slots = self._runs.slots()
            if not slots or self._is_stopping:
                continue
            now = self._now()
            until = now + timedelta(seconds=AHEAD)
            runs = await self._store.call(
                self.context.node, Store.claim, self._owner, now, until, slots, self._lease
            )
            if self._is_stopping:
                await self._hand_back(runs)
                return
            await self._hand_back(self._runs.hold(runs))
            self._start()

    def _start(self) -> None:
        """Start what is due, and see that the next is started when it is due."""
        now = self._now()
        for run, instance in self._runs.take(now):
            self.context.start_task(self._execute, run, instance)
        due_at = self._runs.next_due()
        if due_at is not None and (self._due_at is None or due_at < self._due_at):
            self._due_at = due_at
            # The wall clock may jump while a timer sleeps: never sleep past a reconcile.
            delay = min((due_at - now).total_seconds(), RECONCILE)
            self.context.timers.after(max(delay, 0.0), _Due())

    async def _hand_back(self, runs: Sequence[Run]) -> None:
        if runs:
            await self._store.call(self.context.node, Store.release, self._owner, runs, self._now())

    # Runs

    async def _execute(self, run: Run, instance: ActorRef) -> None:
        begun = self.context.node.clock.monotonic()
        with trio.CancelScope() as scope:
            self._scopes[run.run_id] = scope
            started = Start(run, self._now())
            if run.on_lost == "retry" or await self._recorder.start_durably(started):
                if run.on_lost == "retry":
                    self._recorder.start(started)
                finish = await self._invoke(run, instance)
                self._recorder.finish(finish)
        del self._scopes[run.run_id]
        self._runs.ended(run.run_id, self.context.node.clock.monotonic() - begun)
        self._ended += 1
        if run.run_id in self._callers:
            self.context.start_task(self._answer, run.run_id)
        if not self._is_stopping:
            self._start()
            if self._runs.wants_more(run.handler):
                self._wake.set()
        if not self._runs.running:
            self._idle.set()

    async def _invoke(self, run: Run, instance: ActorRef) -> Finish:
        call = Invoke(
            run.run_id,
            run.method,
            run.params,
            run.attempt,
            run.epoch,
            run.schedule_id,
            run.fire_time,
            run.timeout,
        )
        timeout = math.inf if run.timeout is None else run.timeout + _GRACE
        try:
            result = await instance.ask(call, timeout)
        except BadCall as error:
            return Finish(run, self._now(), "failed", error=plain_text(str(error)), is_final=True)
        except ActorFailed as error:
            text = f"{error.error_type}: {error.error}"
            return Finish(run, self._now(), "failed", error=plain_text(text))
        except DeliveryError as error:
            return Finish(run, self._now(), "failed", error=plain_text(str(error)))
        return Finish(run, self._now(), "succeeded", result=result)

    async def _answer(self, run_id: UUID) -> None:
        """Answer who called, once the run's end is in the ledger."""
        await self._recorder.flush()
        run = await self._store.call(self.context.node, Store.get_run, run_id)
        if run is not None and not run.is_open and run_id in self._callers:
            self._callers.pop(run_id).resolve(run)

    # Leases

    async def _renew_forever(self) -> None:
        while True:
            await trio.sleep(self._lease / 3)
            held = self._runs.held
            if held:
                now = self._now()
                lost = await self._store.call(
                    self.context.node, Store.renew, self._owner, held, now, self._lease
                )
                self._lost(lost)
                self._runs.renewed(now + timedelta(seconds=self._lease))

    async def _sweep_forever(self) -> None:
        while True:
            await trio.sleep(RECONCILE)
            swept = await self._store.call(self.context.node, Store.sweep, self._now(), self._known)
            if swept.requeued:
                self._wake.set()
            for run_id in list(self._callers):  # another node may have done it
                await self._answer(run_id)

    def _lost(self, run_ids: frozenset[UUID]) -> None:
        """The claims of these runs are no longer ours: stop what they do."""
        self._fenced += len(run_ids)
        self._runs.fenced(run_ids)
        for run_id in run_ids:
            scope = self._scopes.get(run_id)
            if scope is not None:
                self.context.log.warning("run %s: claim lost, its result is not recorded", run_id)
                scope.cancel()

    def _now(self) -> datetime:
        return self.context.node.clock.now()
