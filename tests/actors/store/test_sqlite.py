"""SQLite: what can be wrong with a file, two processes on one, and a crash at any statement."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from sqlalchemy import event

from schedule_zero.actors.errors import ConfigError, NodeNameInUse, StoreUnavailable
from schedule_zero.actors.store import Finish, Start, open_store
from schedule_zero.actors.store.sql import SqliteStore
from tests.actors.store.given import T0, at, call, claim, every, once, plan, states


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


# What can be wrong with the file


def test_addresses_name_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for address in ("a.db", "sqlite:///b.db", f"sqlite:///{tmp_path}/c.db", tmp_path / "d.db"):
        open_store(address).close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.db", "b.db", "c.db", "d.db"]


@pytest.mark.parametrize("address", ["", "sqlite://", ":memory:", "mysql://host/name"])
def test_an_address_that_names_no_store_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="give 'memory', the path"):
        open_store(address)


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"is a directory: give the path of a file in it"):
        open_store(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_directory_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist: make it first"):
        open_store(tmp_path / "none" / "x.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"SQLite format 3\0" + b"x" * 5000])
def test_a_file_that_is_no_database_is_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="is not a sound SQLite database"):
        open_store(path)
    assert path.read_bytes() == content
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]


def test_a_database_that_another_program_has_locked_says_so(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (n)")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match=r"locked by another program for more than 0.05"):
            SqliteStore(path, patience=0.05).open()
        other.rollback()
        with SqliteStore(path, patience=0.05) as store:
            assert store.list_schedules() == []


def test_a_write_lock_of_another_program_is_survived(path: Path) -> None:
    with SqliteStore(path, patience=0.05) as store, closing(sqlite3.connect(path)) as other:
        store.put_schedules([every(1)], T0)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            store.plan(T0, T0, 10)
        assert store.list_schedules()[0].next_fire_at == T0, "reading goes on"
        other.rollback()
        assert store.plan(T0, T0, 10).planned == 1


def _as_nobody(use: Callable[[], None]) -> str:
    """What the errors of `use` say when a user without rights calls it. We may be root."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            use()
            said = "nothing"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode()[:4000])
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A directory that can be read by all and written by its owner alone."""
    name = f"/tmp/schedule-zero-test-{os.getpid()}"
    folder = Path(name)
    folder.mkdir(mode=0o755)
    yield folder
    folder.chmod(0o755)
    for each in folder.iterdir():
        each.unlink()
    folder.rmdir()


def test_a_directory_that_cannot_be_written_says_so(forbidden: Path) -> None:
    forbidden.chmod(0o555)
    said = _as_nobody(lambda: open_store(forbidden / "x.db").close())
    assert said.startswith("StoreUnavailable: ")
    assert "let this user write to the file and its directory" in said
    assert list(forbidden.iterdir()) == []


def test_a_file_that_cannot_be_written_says_so(forbidden: Path) -> None:
    open_store(forbidden / "x.db").close()
    forbidden.chmod(0o555)
    (forbidden / "x.db").chmod(0o444)
    said = _as_nobody(lambda: open_store(forbidden / "x.db").close())
    assert said.startswith("StoreUnavailable: ")
    assert "let this user write" in said
    assert [each.name for each in forbidden.iterdir()] == ["x.db"]


def test_every_error_is_one_sentence(tmp_path: Path, path: Path) -> None:
    path.write_bytes(b"garbage " * 1000)
    for place in (path, tmp_path, tmp_path / "none" / "x.db"):
        with pytest.raises(StoreUnavailable) as caught:
            open_store(place)
        assert "\n" not in str(caught.value)
        assert str(place) in str(caught.value)


def test_a_closed_store_leaves_one_file(path: Path) -> None:
    with open_store(path) as store:
        store.begin_life("a/b")
        store.put_schedules([every(1)], T0)
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]


def test_commits_are_synced_and_writers_do_not_block_readers(path: Path) -> None:
    with SqliteStore(path) as store, store.backend.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


# Rows that somebody else wrote


def _write(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(statement, values)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("trigger", b"\x80\x04garbage"),
        ("trigger", None),
        ("kwargs", b"\xff"),
        ("metadata", "{"),
        ("metadata", "[]"),
        ("metadata", '{"schedule_zero": {"policies": {"misfire": "x"}}}'),
        ("metadata", '{"schedule_zero": {"policies": {"evil": 1}}}'),
        ("task_id", "os:system"),
        ("task_id", ""),
    ],
)
def test_a10_h11_a_row_that_cannot_be_used_hurts_only_itself(
    path: Path, column: str, value: object
) -> None:
    with open_store(path) as store:
        store.put_schedules([every(10, "bad"), every(10, "good")], T0)
        _write(path, f"UPDATE schedules SET {column} = ? WHERE id = 'bad'", value)
        assert [each.id for each in store.list_schedules()] == ["bad", "good"]
        result = store.plan(T0, T0, 100)
        assert result.quarantined == ("bad",)
        assert states(store, "bad") == ["skipped(quarantined)"]
        assert states(store, "good") == ["planned"]
        assert store.get_schedule("bad").next_fire_at is None
        assert store.get_schedule("bad").quarantined
        assert store.plan(at(10), at(10), 100).planned == 1
        store.put_schedules([every(15, "bad", start=20)], at(20))
        assert store.get_schedule("bad").quarantined is None
        assert store.get_schedule("bad").next_fire_at == at(20)


@pytest.mark.parametrize("params", [b"\xc1", b"\x07", b"\x80\x04garbage"])
def test_a_run_whose_parameters_cannot_be_read_is_skipped_and_delays_no_other(
    path: Path, params: bytes
) -> None:
    with open_store(path) as store:
        store.submit([call(1), call(2)], T0)
        _write(path, "UPDATE runs SET params = ? WHERE seq = 1", params)
        assert [run.run_id.int for run in claim(store, 0)] == [2]
        assert store.count_by_state() == {"skipped": 1, "claimed": 1}
        assert "cannot be read" in (store.list_runs(state="skipped")[0].error or "")


# One living node of a name


def test_two_living_nodes_of_one_name_are_refused(path: Path) -> None:
    with open_store(path) as one, open_store(path) as two:
        assert one.begin_life("a") == 1
        with pytest.raises(NodeNameInUse, match="'a' is living on this database"):
            two.begin_life("a")
        assert two.begin_life("b") == 1
        one.close()
        assert two.begin_life("a") == 2


def test_a_killed_node_gives_its_name_back(path: Path) -> None:
    open_store(path).close()
    script = (
        "import sys, os, signal\n"
        "from schedule_zero.actors.store import open_store\n"
        "open_store(sys.argv[1]).begin_life('a')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == -9
    with open_store(path) as store:
        assert store.begin_life("a") == 2
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]


# Two processes on one file

WORKER = """
import sys
from datetime import timedelta
from schedule_zero.actors.store import Finish, Start, open_store
from tests.actors.store.given import T0, at

path, name = sys.argv[1:]
sys.stdin.readline()
with open_store(path) as store:
    owner = f"{name}@{store.begin_life(name)}"
    for step in range(60):
        now = at(step)
        store.plan(now, now + timedelta(seconds=2), 10)
        for run in store.claim(owner, now, now + timedelta(seconds=1), {"work": 7}, 1e6):
            print(run.run_id, run.epoch, flush=True)
            fenced = store.record([Start(run, now)], [Finish(run, now, "succeeded")], now)
            assert not fenced
        store.sweep(now, ["work"])
"""


def _workers(path: Path, names: str) -> list[list[str]]:
    """What the workers print that begin at the same moment."""
    root = Path(__file__).parents[3]
    env = {**os.environ, "PYTHONPATH": str(root)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
            cwd=root,
        )
        for name in names
    ]
    outputs: list[str] = ["" for _ in workers]

    def talk(number: int) -> None:
        outputs[number], _ = workers[number].communicate("go\n")

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(len(workers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [worker.returncode for worker in workers] == [0] * len(workers)
    return [output.split("\n")[:-1] for output in outputs]


def test_a2_two_schedulers_on_one_file_plan_no_fire_twice_and_claim_no_run_twice(
    path: Path,
) -> None:
    """Each fire of three schedules and an hour of calls: one row, one claim, one run."""
    with open_store(path) as store:
        names = ("one", "two", "three")
        store.put_schedules(
            [every(1, name, overlap="allow_all", coalesce="all") for name in names], T0
        )
        store.submit([call(n) for n in range(1, 300)], T0)
    claims = [line for lines in _workers(path, "ab") for line in lines]
    assert len(claims) == len(set(claims)), "no run was claimed twice under one epoch"
    assert len({line.split()[0] for line in claims}) == len(claims), "no run was started twice"
    with open_store(path) as store:
        for name in names:
            fires = sorted(run.fire_time for run in store.list_runs(name, limit=1000))
            assert fires == [at(n) for n in range(len(fires))]
            assert len(fires) >= 60
        assert store.count_by_state()["succeeded"] == len(claims)


def test_processes_may_make_a_new_database_at_the_same_time(path: Path) -> None:
    _workers(path, "abcd")
    with open_store(path) as store:
        assert [store.begin_life(name) for name in "abcd"] == [2, 2, 2, 2]


def test_threads_share_a_store(path: Path) -> None:
    with open_store(path) as store:
        store.submit([call(n) for n in range(1, 201)], T0)
        taken: list[int] = []

        def work(name: str) -> None:
            while runs := store.claim(f"{name}@1", T0, T0, {"work": 3}, 30.0):
                taken.extend(run.run_id.int for run in runs)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == list(range(1, 201))


# A crash at any statement


class Crash(BaseException):
    """The process is gone."""


@contextmanager
def _crash_at(store: SqliteStore, number: int) -> Iterator[list[str]]:
    """Crash before the statement of this number; yields the statements that were reached."""
    seen: list[str] = []

    def before(*arguments: Any) -> None:
        if len(seen) == number:
            raise Crash
        seen.append(arguments[2])

    def commit(*_: Any) -> None:
        before(None, None, "COMMIT")

    engine = store.backend.engine
    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "commit", commit)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "commit", commit)


def _contents(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as other:
        tables = ("schedules", "runs", "nodes")
        return [other.execute(f"SELECT * FROM {table}").fetchall() for table in tables]


Operation: TypeAlias = Callable[[], object]


def _plan(store: SqliteStore) -> Operation:
    return lambda: store.plan(at(95), at(97), 100)


def _claim(store: SqliteStore) -> Operation:
    slots = {"work": 50, "other": 5}
    return lambda: store.claim("b@1", at(92), at(93), slots, 30.0)


def _record(store: SqliteStore) -> Operation:
    held = [run for run in store.list_runs(state="claimed") if run.owner == "a@1"]
    starts = [Start(run, at(91)) for run in held]
    ends = [Finish(run, at(92), "failed" if n % 2 else "succeeded") for n, run in enumerate(held)]
    return lambda: store.record(starts, ends, at(92))


def _sweep(store: SqliteStore) -> Operation:
    return lambda: store.sweep(at(4000), ["work"])


def _put(store: SqliteStore) -> Operation:
    return lambda: store.put_schedules([every(7, "five"), every(3, "new")], at(92))


def _declare(store: SqliteStore) -> Operation:
    return lambda: store.declare("work", [every(2, "code")], at(92))


def _remove(store: SqliteStore) -> Operation:
    return lambda: store.remove_schedule("five", at(80))


def _begin(store: SqliteStore) -> Operation:
    return lambda: store.begin_life("a")


def _given(path: Path) -> SqliteStore:
    """A ledger with something of everything."""
    store = SqliteStore(path)
    store.open()
    store.put_schedules([every(5, "five"), every(1, "all", overlap="allow_all")], T0)
    store.put_schedules([every(9, "buffer", overlap="buffer_all", coalesce="all")], T0)
    store.declare("work", [once(3, "gone")], T0)
    plan(store, 60)
    claim(store, 60, slots=2)
    plan(store, 90, ahead=3)
    store.submit([call(n, at(90)) for n in range(1, 6)], at(90))
    claim(store, 90, slots=2)
    return store


@pytest.mark.parametrize(
    "prepare", [_plan, _claim, _record, _sweep, _put, _declare, _remove, _begin]
)
def test_a4_h6_a_crash_at_any_statement_leaves_all_or_nothing(
    path: Path, prepare: Callable[[SqliteStore], Operation]
) -> None:
    store = _given(path)
    operation = prepare(store)
    before = _contents(path)
    number = 0
    while True:
        try:
            with _crash_at(store, number) as seen:
                operation()
            break
        except Crash:
            assert _contents(path) == before, f"crashed before {seen[-1:]} of {len(seen)}"
            number += 1
    assert seen.count("COMMIT") >= 1
    assert number == len(seen)
    assert number >= 4
    assert _contents(path) != before
    store.close()


@pytest.mark.parametrize("prepare", [_plan, _claim, _record, _sweep])
def test_a2_nobody_can_write_between_a_transactions_reading_and_its_writing(
    path: Path, prepare: Callable[[SqliteStore], Operation]
) -> None:
    refused = 0

    def intrude(*arguments: Any) -> None:
        nonlocal refused
        if arguments[2].startswith("BEGIN"):
            return
        with pytest.raises(StoreUnavailable, match="locked"):
            other.submit([call(99)], T0)
        refused += 1

    with _given(path) as store, SqliteStore(path, patience=0.01) as other:
        operation = prepare(store)
        event.listen(store.backend.engine, "before_cursor_execute", intrude)
        operation()
        event.remove(store.backend.engine, "before_cursor_execute", intrude)
        assert refused >= 2
        assert other.submit([call(99)], T0) == 1


def test_a4_h6_a_fire_whose_plan_was_lost_in_a_crash_is_planned_once(path: Path) -> None:
    with SqliteStore(path) as store:
        store.put_schedules([once(0)], T0)
        for number in range(5):
            with pytest.raises(Crash), _crash_at(store, number):
                store.plan(T0, T0, 10)
        assert states(store) == []
        plan(store, 0)
        plan(store, 1)
        assert states(store) == ["planned"]


def test_l8_a_killed_planner_leaves_all_or_nothing(path: Path) -> None:
    """Kill -9 at moments that differ; afterwards each fire up to the last has one row."""
    with open_store(path) as store:
        store.put_schedules([every(1, f"s{n}", coalesce="all") for n in range(20)], T0)
    root = Path(__file__).parents[3]
    script = (
        "import sys\n"
        "from schedule_zero.actors.store import open_store\n"
        "from tests.actors.store.given import at\n"
        "store = open_store(sys.argv[1])\n"
        "for step in range(int(sys.argv[2]), 10**6):\n"
        "    store.plan(at(step), at(step), 100)\n"
        "    print(step, flush=True)\n"
    )
    done = -1
    for kill in range(5):
        command = [sys.executable, "-c", script, str(path), str(done + 1)]
        env = {**os.environ, "PYTHONPATH": str(root)}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=env, cwd=root
        ) as node:
            assert node.stdout is not None
            for line in node.stdout:
                done = int(line)
                if done % 17 == kill + 3:
                    node.kill()
    with open_store(path) as store:
        for each in store.list_schedules():
            fires = sorted(run.fire_time for run in store.list_runs(each.id, limit=10_000))
            assert fires == [at(n) for n in range(len(fires))]
            assert each.next_fire_at == at(len(fires))
            assert len(fires) > done
        assert max(fires) - T0 < timedelta(days=1)


def test_a_database_that_is_deleted_under_the_store_is_noticed(path: Path) -> None:
    with open_store(path) as store:
        store.put_schedules([every(10)], T0)
        kept = path.with_name("kept.db")
        path.rename(kept)
        with pytest.raises(StoreUnavailable, match="deleted or replaced"):
            store.plan(T0, T0, 10)
        kept.rename(path)
        assert store.plan(T0, T0, 10).planned == 1
