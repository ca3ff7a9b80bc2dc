"""The tables: APScheduler's own, ours, and the way from version to version."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from apscheduler import AsyncScheduler, CoalescePolicy, Task
from apscheduler.datastores.sqlalchemy import SQLAlchemyDataStore
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import Column, Connection, create_engine, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateColumn

from schedule_zero.actors.errors import SchemaTooNew, StoreUnavailable
from schedule_zero.actors.store import PlainSerializer, open_store
from schedule_zero.actors.store.schema import (
    MIGRATIONS,
    SCHEMA_VERSION,
    build_tables,
    found_version,
    migrate,
)
from tests.actors.store.given import T0, at, every, plan


@contextmanager
def _begun(path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _described(column: Column[Any], dialect: Any) -> tuple[object, ...]:
    ddl = str(CreateColumn(column).compile(dialect=dialect))
    return (column.name, ddl, column.nullable, column.primary_key, bool(column.index))


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_our_schedules_table_is_apschedulers_column_by_column(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[name].dialect()
    theirs = SQLAlchemyDataStore(create_engine("sqlite://"))
    monkeypatch.setattr(theirs, "_supports_tzaware_timestamps", name == "postgresql")
    monkeypatch.setattr(theirs, "_supports_native_interval", name == "postgresql")
    monkeypatch.setattr(theirs._engine, "dialect", dialect)
    expected = theirs.get_table_definitions().tables["schedules"]
    ours = build_tables(name).tables["schedules"]
    assert [_described(each, dialect) for each in ours.columns] == [
        _described(each, dialect) for each in expected.columns
    ]


def test_a_new_database_has_the_newest_version(tmp_path: Path) -> None:
    open_store(tmp_path / "x.db").close()
    with _begun(tmp_path / "x.db") as connection:
        assert found_version(connection) == SCHEMA_VERSION == len(MIGRATIONS) + 1
        assert {"schedules", "runs", "nodes"} <= set(inspect(connection).get_table_names())


def _adding(table: str) -> Callable[[Any], None]:
    return lambda connection: connection.execute(text(f"CREATE TABLE {table} (n INTEGER)"))


def test_an_old_database_goes_through_every_step_from_its_version_on(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with open_store(path) as store:
        store.put_schedules([every(1)], T0)
    steps = (_adding("second"), _adding("third"))
    for known, expected in ((1, {"second"}), (2, {"second", "third"}), (2, {"second", "third"})):
        with _begun(path) as connection:
            migrate(connection, build_tables("sqlite"), "x", steps[:known])
            names = set(inspect(connection).get_table_names())
            assert names & {"second", "third"} == expected
            assert found_version(connection) == known + 1
            assert connection.execute(text("SELECT count(*) FROM schedules")).scalar() == 1


def test_a_new_database_does_not_go_through_old_steps(tmp_path: Path) -> None:
    with _begun(tmp_path / "x.db") as connection:
        migrate(connection, build_tables("sqlite"), "x", [_adding("runs")])
        assert found_version(connection) == 2


def test_a_step_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    open_store(path).close()
    with pytest.raises(Exception, match="already exists"), _begun(path) as connection:
        migrate(connection, build_tables("sqlite"), "x", [_adding("more"), _adding("runs")])
    with _begun(path) as connection:
        assert found_version(connection) == 1
    with open_store(path) as store:
        assert store.list_schedules() == []


def test_the_database_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    open_store(path).close()
    with _begun(path) as connection:
        connection.execute(text("UPDATE schedule_zero_schema SET version = 99"))
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew, match="version 99, this program knows up to 1"):
        open_store(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["x.db"]


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with _begun(path) as connection:
        connection.execute(text("CREATE TABLE runs (km INTEGER)"))
    with pytest.raises(StoreUnavailable, match="belongs to another program"):
        open_store(path)


def _with_stock_client(path: Path, use: Callable[[AsyncScheduler], Any]) -> Any:
    async def main() -> Any:
        engine = create_engine(f"sqlite:///{path}")
        data_store = SQLAlchemyDataStore(engine, serializer=PlainSerializer())
        async with AsyncScheduler(data_store) as client:
            try:
                return await use(client)
            finally:
                engine.dispose()

    return asyncio.run(main())


@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
def test_a_stock_client_sees_and_pauses_our_schedules(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with open_store(path) as store:
        given = every(10, "ours", params={"pair": (1, 2)}, timeout=5.0, coalesce="all")
        store.put_schedules([given], T0)
        plan(store, 0)

        async def pause(client: AsyncScheduler) -> Any:
            found = await client.get_schedules()
            await client.pause_schedule("ours")
            return found

        [seen] = _with_stock_client(path, pause)

        assert (seen.id, seen.task_id, seen.kwargs) == ("ours", "work.run", {"pair": (1, 2)})
        assert (seen.next_fire_time, seen.last_fire_time) == (at(10), T0)
        assert seen.coalesce is CoalescePolicy.all
        assert seen.trigger.next() == at(20)
        found = store.get_schedule("ours")
        assert found.paused
        assert found.policies == given.policies


@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
def test_a_schedule_that_a_stock_client_added_is_planned(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    open_store(path).close()

    async def add(client: AsyncScheduler) -> None:
        await client.data_store.add_task(Task(id="work.run", func="os:nothing", job_executor="x"))
        trigger = IntervalTrigger(seconds=10, start_time=T0)
        await client.add_schedule(
            "work.run", trigger, id="theirs", kwargs={"a": 1}, coalesce=CoalescePolicy.all,
            misfire_grace_time=25, metadata={"kept": "yes"},
        )  # fmt: skip
        crons = CronTrigger(hour=3, start_time=T0, timezone="Europe/Rome")
        await client.add_schedule("work.run", crons, id="cron")

    _with_stock_client(path, add)
    with open_store(path) as store:
        found = store.get_schedule("theirs")
        assert (found.handler, found.method, found.params) == ("work", "run", {"a": 1})
        assert (found.policies.coalesce, found.policies.misfire) == ("all", 25.0)
        plan(store, 40)
        assert [run.state for run in reversed(store.list_runs(schedule_id="theirs"))] == [
            "missed", "missed", "planned", "planned", "planned",
        ]  # fmt: skip
        store.pause_schedule("theirs", "note")

    async def look(client: AsyncScheduler) -> Any:
        return await client.get_schedule("theirs")

    seen = _with_stock_client(path, look)
    assert seen.metadata["kept"] == "yes"
    assert seen.next_fire_time == at(50)
    assert seen.paused
