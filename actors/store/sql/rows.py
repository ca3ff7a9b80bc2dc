"""Rows of the `runs` table as `Run`s and back, by hand: this is the hot path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from schedule_zero.actors.errors import BadData
from schedule_zero.actors.store.instants import EPOCH, optional_micros, to_micros
from schedule_zero.actors.store.run import Run
from schedule_zero.actors.store.serializer import dumps, loads

COLUMNS = (
    "run_id",
    "handler",
    "method",
    "fire_time",
    "due_at",
    "schedule_id",
    "params",
    "state",
    "attempt",
    "epoch",
    "owner",
    "lease_until",
    "started_at",
    "finished_at",
    "reason",
    "result",
    "error",
    "overlap",
    "on_lost",
    "retries",
    "backoff",
    "timeout",
    "priority",
    "misfire",
)
"""The fields of `Run`, in its order; the table has `late_after` and `seq` besides."""

CHANGING = (
    "state",
    "due_at",
    "late_after",
    "attempt",
    "epoch",
    "owner",
    "lease_until",
    "started_at",
    "finished_at",
    "reason",
    "result",
    "error",
)
"""What a transition may change."""


def inserted(run: Run) -> tuple[Any, ...]:
    """The values of a new row: `COLUMNS`, then `late_after`."""
    return (
        run.run_id.bytes,
        run.handler,
        run.method,
        to_micros(run.fire_time),
        to_micros(run.due_at),
        run.schedule_id,
        _packed_params(run.params),
        run.state,
        run.attempt,
        run.epoch,
        run.owner,
        optional_micros(run.lease_until),
        optional_micros(run.started_at),
        optional_micros(run.finished_at),
        run.reason,
        _packed(run.result),
        run.error,
        run.overlap,
        run.on_lost,
        run.retries,
        run.backoff,
        run.timeout,
        run.priority,
        run.misfire,
        run.late_after,
    )


def swapped(before: Run, after: Run) -> tuple[Any, ...]:
    """The values of `CHANGING`, then the condition: run id, state and epoch as they were."""
    return (
        after.state,
        to_micros(after.due_at),
        after.late_after,
        after.attempt,
        after.epoch,
        after.owner,
        optional_micros(after.lease_until),
        optional_micros(after.started_at),
        optional_micros(after.finished_at),
        after.reason,
        _packed(after.result),
        after.error,
        before.run_id.bytes,
        before.state,
        before.epoch,
    )


def as_run(row: Sequence[Any]) -> Run:
    """A row of `COLUMNS` as a `Run`; if its bytes cannot be read it is marked `quarantined`."""
    try:
        return _readable(row)
    except BadData as error:
        blank = [*row]
        blank[6], blank[14], blank[15], blank[16] = None, "quarantined", None, str(error)
        return _readable(blank)


def _readable(row: Sequence[Any]) -> Run:
    return Run(
        UUID(bytes=row[0]),
        row[1],
        row[2],
        EPOCH + timedelta(microseconds=row[3]),
        EPOCH + timedelta(microseconds=row[4]),
        row[5],
        {} if row[6] is None else _params(row[6]),
        row[7],
        row[8],
        row[9],
        row[10],
        _instant(row[11]),
        _instant(row[12]),
        _instant(row[13]),
        row[14],
        None if row[15] is None else loads(row[15]),
        *row[16:],
    )


def _params(raw: bytes) -> Mapping[str, object]:
    params = loads(raw)
    if type(params) is not dict:
        raise BadData("the stored parameters cannot be read: they are not parameters by name")
    return params


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else EPOCH + timedelta(microseconds=micros)


def _packed(value: object) -> bytes | None:
    return None if value is None else dumps(value)


def _packed_params(params: Mapping[str, object]) -> bytes | None:
    return dumps(dict(params)) if params else None
