"""The tables, their version, and the steps from older versions to this one.

`schedules` is APScheduler 4.0.0a6's table, column by column, so that its stock data store can work
on the same database; what it has no column for is in the `metadata` JSON under `schedule_zero`.
`runs`, `nodes` and `schedule_zero_schema` are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from apscheduler import CoalescePolicy
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Enum,
    Float,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    Unicode,
    false,
    inspect,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from schedule_zero.actors.errors import SchemaTooNew, StoreUnavailable

SCHEMA_VERSION = 1

HAS_RUN = "started_at IS NOT NULL AND finished_at IS NOT NULL"
HAS_ENDED = "state NOT IN ('planned', 'claimed', 'running')"

Migration = Callable[[Connection], None]

MIGRATIONS: tuple[Migration, ...] = ()
"""Step n (from 0) leads from version n + 1 to version n + 2."""


class TextInstant(TypeDecorator[Any]):
    """APScheduler's text form of an instant, where the database has none with a time zone.

    Only its lease column uses it, which we leave empty.
    """

    impl = Unicode(32)
    cache_ok = True


class MicrosecondInterval(TypeDecorator[timedelta]):
    """A duration as whole microseconds, where the database has no type for it."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else value // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> timedelta | None:
        """From the database."""
        return None if value is None else timedelta(microseconds=value)


def build_tables(dialect: str) -> MetaData:
    """All tables, as they are on a dialect such as `sqlite` or `postgresql`."""
    metadata = MetaData()
    _schedules(metadata, dialect)
    _runs(metadata)
    Table(
        "nodes",
        metadata,
        Column("name", Unicode(500), primary_key=True),
        Column("incarnation", BigInteger, nullable=False),
    )
    Table("schedule_zero_schema", metadata, Column("version", Integer, nullable=False))
    return metadata


def _schedules(metadata: MetaData, dialect: str) -> None:
    is_postgresql = dialect == "postgresql"
    instant: Any = DateTime(timezone=True) if is_postgresql else TextInstant()
    interval: Any = Interval(second_precision=6) if is_postgresql else MicrosecondInterval()
    if is_postgresql:
        fires = [
            Column("last_fire_time", instant),
            Column("next_fire_time", instant, index=True),
        ]
    else:
        fires = [
            Column("last_fire_time", BigInteger),
            Column("last_fire_time_utcoffset", SmallInteger),
            Column("next_fire_time", BigInteger, index=True),
            Column("next_fire_time_utcoffset", SmallInteger),
        ]
    Table(
        "schedules",
        metadata,
        Column("id", Unicode(500), primary_key=True),
        Column("task_id", Unicode(500), nullable=False, index=True),
        Column("trigger", LargeBinary),
        Column("args", LargeBinary),
        Column("kwargs", LargeBinary),
        Column("paused", Boolean, nullable=False, server_default=false()),
        Column("coalesce", Enum(CoalescePolicy, metadata=metadata), nullable=False),
        Column("misfire_grace_time", interval),
        Column("max_jitter", interval),
        Column("job_executor", Unicode(500), nullable=False),
        Column("job_result_expiration_time", interval),
        Column("metadata", JSONB if is_postgresql else JSON, nullable=False),
        *fires,
        Column("acquired_by", Unicode(500), index=True),
        Column("acquired_until", instant),
    )


def _runs(metadata: MetaData) -> None:
    runs = Table(
        "runs",
        metadata,
        # On SQLite a name for the row id, so it costs nothing; it is the order of age.
        Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("run_id", LargeBinary(16), nullable=False, unique=True),
        Column("schedule_id", Unicode(500)),
        Column("handler", Unicode(500), nullable=False),
        Column("method", Unicode(500), nullable=False),
        Column("params", LargeBinary),
        Column("fire_time", BigInteger, nullable=False),
        Column("due_at", BigInteger, nullable=False),
        Column("late_after", BigInteger, nullable=False),
        Column("state", Unicode(16), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("owner", Unicode(500)),
        Column("lease_until", BigInteger),
        Column("started_at", BigInteger),
        Column("finished_at", BigInteger),
        Column("reason", Unicode(16)),
        Column("result", LargeBinary),
        Column("error", Text),
        Column("overlap", Unicode(16), nullable=False),
        Column("on_lost", Unicode(16), nullable=False),
        Column("retries", Integer, nullable=False),
        Column("backoff", Float, nullable=False),
        Column("timeout", Float),
        Column("priority", Integer, nullable=False),
        Column("misfire", Float, nullable=False),
    )
    is_planned, is_leased = text("state = 'planned'"), text("lease_until IS NOT NULL")
    is_ended = text(HAS_ENDED)
    is_queued = text("state = 'planned' AND overlap = 'buffer_all' AND attempt = 0")
    has_run = text(HAS_RUN)
    is_busy = text("attempt > 0 AND finished_at IS NULL")
    _partial("runs_due", is_planned, runs.c.handler, runs.c.priority.desc(), runs.c.due_at)
    _partial("runs_queued", is_queued, runs.c.schedule_id, runs.c.due_at)
    _partial("runs_late", is_planned, runs.c.late_after)
    _partial("runs_leased", is_leased, runs.c.lease_until)
    _partial("runs_busy", is_busy, runs.c.schedule_id)
    _partial("runs_ran", has_run, runs.c.schedule_id, runs.c.finished_at)
    _partial("runs_ended", is_ended, runs.c.state, runs.c.fire_time)
    Index("runs_history", runs.c.schedule_id, runs.c.fire_time)
    Index("runs_newest", runs.c.fire_time)


def _partial(name: str, where: Any, *columns: Any) -> None:
    """An index that holds only the rows where something is so; it costs the others nothing."""
    Index(name, *columns, sqlite_where=where, postgresql_where=where)


def found_version(connection: Connection) -> int | None:
    """The version of the tables in this database, or None where there are none of ours."""
    if not inspect(connection).has_table("schedule_zero_schema"):
        return None
    version = connection.execute(text("SELECT version FROM schedule_zero_schema")).scalar()
    return int(version) if version is not None else None


def refuse_newer(version: int | None, where: str, known: int = SCHEMA_VERSION) -> None:
    """Raise `SchemaTooNew` if a newer program wrote this database."""
    if version is not None and version > known:
        raise SchemaTooNew(version, known, where)


def migrate(
    connection: Connection,
    tables: MetaData,
    where: str,
    steps: Sequence[Migration] = MIGRATIONS,
) -> None:
    """Bring the database to the newest version, in the caller's write transaction.

    An empty one gets all tables; an older one goes through the steps from its version on.
    """
    known = len(steps) + 1
    version = found_version(connection)
    refuse_newer(version, where, known)
    if version is None:
        _refuse_strangers(connection, where)
        tables.create_all(connection)
        connection.execute(tables.tables["schedule_zero_schema"].insert(), {"version": known})
        return
    for step in steps[version - 1 :]:
        step(connection)
    if version < known:
        connection.execute(tables.tables["schedule_zero_schema"].update(), {"version": known})


def _refuse_strangers(connection: Connection, where: str) -> None:
    taken = {"runs", "nodes"}.intersection(inspect(connection).get_table_names())
    if taken:
        raise StoreUnavailable(
            f"database {where} belongs to another program (it has tables {sorted(taken)} that are "
            "not ours): give another path"
        )
