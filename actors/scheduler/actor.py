"""The scheduler: plans fires into the ledger ahead of their time."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import trio

from schedule_zero.actors.errors import ScheduleError
from schedule_zero.actors.executor.messages import Withdraw, WorkPlanned
from schedule_zero.actors.scheduler.messages import (
    PauseSchedule,
    PutSchedule,
    RemoveSchedule,
    ResumeSchedule,
    TriggerNow,
)
from schedule_zero.actors.store import Schedule, Store, triggered_run
from schedule_zero.actors.store.access import StoreAccess
from schedule_zero.runtime import Actor, NoSuchActor, handles

AHEAD = 1.0
RECONCILE = 1.0
PAUSE = 0.1
BATCH = 2000


class Scheduler(Actor):
    """Plans the fires of the coming second, in one transaction with their schedules' advance.

    `declared` holds, for each handler, the schedules that its code declares. `executor` is the
    path of the actor that is told of planned work; it is a hint, the ledger is the truth.
    """

    def __init__(
        self,
        store: StoreAccess,
        declared: Mapping[str, Sequence[Schedule]],
        executor: str = "executor",
    ) -> None:
        self._store = store
        self._declared = declared
        self._executor = executor
        self._wake = trio.Event()

    async def on_start(self) -> None:
        """Write the declared schedules and begin to plan."""
        for handler, schedules in self._declared.items():
            await self._store.call(
                self.context.node, Store.declare, handler, schedules, self._now()
            )
        self.context.start_task(self._plan_forever)

    @handles
    async def _put(self, msg: PutSchedule) -> None:
        await self._change(
            self._store.call(self.context.node, Store.put_schedules, [msg.schedule], self._now())
        )

    @handles
    async def _remove(self, msg: RemoveSchedule) -> None:
        await self._change(
            self._store.call(
                self.context.node, Store.remove_schedule, msg.schedule_id, self._now()
            ),
            withdraw=msg.schedule_id,
        )

    @handles
    async def _pause(self, msg: PauseSchedule) -> None:
        await self._change(
            self._store.call(
                self.context.node, Store.pause_schedule, msg.schedule_id, msg.note or None
            ),
            withdraw=msg.schedule_id,
        )

    @handles
    async def _resume(self, msg: ResumeSchedule) -> None:
        await self._change(
            self._store.call(self.context.node, Store.resume_schedule, msg.schedule_id, self._now())
        )

    @handles
    async def _trigger(self, msg: TriggerNow) -> None:
        answer = self.context.reply_later()
        try:
            schedule = await self._store.call(
                self.context.node, Store.get_schedule, msg.schedule_id
            )
        except ScheduleError as error:
            answer.reject(error)
            return
        run = triggered_run(schedule, self.context.node.random.new_id(), self._now())
        await self._store.call(self.context.node, Store.submit, [run], self._now())
        self._tell_executor(WorkPlanned())
        answer.resolve(run.run_id)

    async def _change(self, write: Awaitable[object], withdraw: str | None = None) -> None:
        """Make a change; what the asker did wrong is answered, and fails nobody."""
        answer = self.context.reply_later()
        try:
            await write
        except ScheduleError as error:
            answer.reject(error)
            return
        if withdraw is not None:
            self._tell_executor(Withdraw(withdraw))
        self._wake.set()
        answer.resolve(None)

    async def _plan_forever(self) -> None:
        while True:
            now = self._now()
            until = now + timedelta(seconds=AHEAD)
            planned = await self._store.call(self.context.node, Store.plan, now, until, BATCH)
            for schedule_id in planned.quarantined:
                self.context.log.error(
                    "schedule %r is quarantined: its trigger failed; `schedules list` says how",
                    schedule_id,
                )
            if planned.planned:
                self._tell_executor(WorkPlanned())
            if planned.backlog:
                await trio.lowlevel.checkpoint()
                continue
            await self._sleep_until(planned.next_at)

    async def _sleep_until(self, next_at: datetime | None) -> None:
        """Sleep until the next fire enters the coming second; at least `PAUSE`, so that many
        schedules share a transaction, and at most `RECONCILE`, as the wall clock may jump.
        """
        delay = RECONCILE
        if next_at is not None:
            delay = min(delay, (next_at - self._now()).total_seconds() - AHEAD)
        with trio.move_on_after(max(delay, PAUSE)):
            await self._wake.wait()
        self._wake = trio.Event()

    def _tell_executor(self, msg: object) -> None:
        with suppress(NoSuchActor):  # while it is not started it will look at the ledger itself
            self.context.node.ref(self._executor).tell(msg)

    def _now(self) -> datetime:
        return self.context.node.clock.now()
