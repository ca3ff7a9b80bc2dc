"""Backup, on real databases."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from examples import backup as module
from examples.backup import Backup, BackupFailed, Facts

if TYPE_CHECKING:
    from tests.examples.conftest import FixedClock

FIRST = "app-20261123T084530Z.db"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database in WAL mode: two tables, a full-text one, an index and a view."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA user_version = 7;
            CREATE TABLE account (id INTEGER PRIMARY KEY AUTOINCREMENT, balance INTEGER);
            CREATE TABLE "odd "" name" (key TEXT PRIMARY KEY) WITHOUT ROWID;
            CREATE INDEX by_balance ON account (balance);
            CREATE VIEW rich AS SELECT * FROM account WHERE balance > 100;
            CREATE VIRTUAL TABLE page USING fts5 (body);
            INSERT INTO page VALUES ('hello world');
            INSERT INTO "odd "" name" VALUES ('a'), ('b');
            """
        )
        made.executemany("INSERT INTO account (balance) VALUES (?)", [(n,) for n in range(5000)])
        made.commit()
    return path


@pytest.fixture
def back_up(
    make: Callable[[type[Backup]], Backup], database: Path, tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """Backs the database up into the test's own folder."""

    def back_up_one(**options: int) -> dict[str, Any]:
        places = {"database": str(database), "folder": str(tmp_path / "backups")}
        return make(Backup).database(**places, **options)

    return back_up_one


def backups(tmp_path: Path) -> list[str]:
    """What is in the folder, but for the lock file."""
    return sorted(
        path.name for path in (tmp_path / "backups").iterdir() if path.name != ".app.db.lock"
    )


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as opened:
        return opened.execute(query).fetchall()


def test_a_backup_is_named_after_the_instant_and_holds_everything(
    back_up: Callable[..., dict[str, Any]], database: Path, tmp_path: Path
) -> None:
    database.chmod(0o640)

    result = back_up()

    path = tmp_path / "backups" / FIRST
    assert backups(tmp_path) == [FIRST]
    assert result["backup"] == str(path)
    assert result["bytes"] == path.stat().st_size
    assert result["rows"] > 5002
    assert result["deleted"] == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    for query in (
        "SELECT * FROM account",
        'SELECT * FROM "odd "" name"',
        "SELECT * FROM page WHERE page MATCH 'hello'",
        "SELECT * FROM rich",
        "PRAGMA user_version",
    ):
        assert rows(path, query) == rows(database, query)


def test_what_is_still_in_the_write_ahead_log_is_in_the_backup(
    back_up: Callable[..., dict[str, Any]], database: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("INSERT INTO account (balance) VALUES (123456)")
        writer.execute("BEGIN")
        writer.execute("INSERT INTO account (balance) VALUES (654321)")
        back_up()
        writer.execute("ROLLBACK")

    query = "SELECT balance FROM account WHERE balance > 100000"
    assert rows(tmp_path / "backups" / FIRST, query) == [(123456,)]


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_backup_under_a_busy_writer_is_of_one_moment(
    back_up: Callable[..., dict[str, Any]],
    database: Path,
    tmp_path: Path,
    clock: FixedClock,
    mode: str,
) -> None:
    """Each transaction inserts a pair: a backup with an odd count would be torn."""
    rows(database, f"PRAGMA journal_mode = {mode}")
    stop, wrote = threading.Event(), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(database, isolation_level=None, timeout=30)) as writer:
            while not stop.is_set():
                writer.execute("BEGIN IMMEDIATE")
                for balance in (1, -1):
                    writer.execute("INSERT INTO account (balance) VALUES (?)", (balance,))
                writer.execute("COMMIT")
                wrote.set()

    thread = threading.Thread(target=write)
    thread.start()
    found = []
    try:
        for _ in range(5):
            wrote.clear()
            wrote.wait(10)
            path = Path(back_up(keep=10)["backup"])
            found.append(rows(path, "SELECT count(*) FROM account")[0][0])
            clock.advance(seconds=1)
    finally:
        stop.set()
        thread.join()

    assert len(backups(tmp_path)) == 5
    assert all(count % 2 == 0 for count in found)
    assert found == sorted(found)
    assert found[-1] > 5000


def test_the_newest_are_kept_and_nothing_else_is_deleted(
    back_up: Callable[..., dict[str, Any]], tmp_path: Path, clock: FixedClock
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    others = ["app.db", "app-notes.db", "web-20200101T000000Z.db", "app-20200101T000000Z.db.txt"]
    for name in others:
        (folder / name).write_bytes(b"")
    deleted = []
    for _ in range(4):
        deleted.append(back_up(keep=2)["deleted"])
        clock.advance(hours=1)

    assert deleted == [0, 0, 1, 1]
    kept = ["app-20261123T104530Z.db", "app-20261123T114530Z.db"]
    assert backups(tmp_path) == sorted([*others, *kept])


def test_two_backups_in_one_second_both_exist_and_the_older_goes_first(
    back_up: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    for _ in range(3):
        back_up(keep=2)

    assert backups(tmp_path) == ["app-20261123T084530Z-2.db", "app-20261123T084530Z-3.db"]


def test_the_backup_just_made_is_kept_even_if_the_clock_went_back(
    back_up: Callable[..., dict[str, Any]], tmp_path: Path, clock: FixedClock
) -> None:
    back_up()
    clock.advance(days=-1)
    back_up(keep=1)

    assert backups(tmp_path) == ["app-20261122T084530Z.db"]


def damage_page(path: Path) -> None:
    """Overwrite a page in the middle of the file, as a failing disk might."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = os.urandom(4096)
    path.write_bytes(content)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def destroy_header(path: Path) -> None:
    path.write_bytes(b"not a database".ljust(4096, b"!") + path.read_bytes()[4096:])


def lose_a_row(path: Path) -> None:
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("DELETE FROM account WHERE id = 17")
        opened.commit()


def lose_an_index(path: Path) -> None:
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("DROP INDEX by_balance")


def make_an_index_stale(path: Path) -> None:
    """Change the rows behind an index's back: only the integrity check can tell."""
    columns = "rowid, type, name, tbl_name, rootpage, sql"
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA writable_schema = ON")
        query = f"SELECT {columns} FROM sqlite_master WHERE name = 'by_balance'"
        entry = opened.execute(query).fetchone()
        opened.execute("DELETE FROM sqlite_master WHERE name = 'by_balance'")
        opened.commit()
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("UPDATE account SET balance = balance + 1000000")
        opened.execute("PRAGMA writable_schema = ON")
        opened.execute(f"INSERT INTO sqlite_master ({columns}) VALUES (?, ?, ?, ?, ?, ?)", entry)
        opened.commit()


@pytest.mark.parametrize(
    "damage",
    [damage_page, truncate, destroy_header, lose_a_row, lose_an_index, make_an_index_stale],
)
def test_a_copy_that_is_damaged_is_refused_and_leaves_nothing(
    back_up: Callable[..., dict[str, Any]],
    tmp_path: Path,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Path], None],
) -> None:
    back_up(keep=1)
    clock.advance(hours=1)
    copy = Backup._copy

    def copy_and_damage(self: Backup, source: Path, partial: Path) -> Facts:
        facts = copy(self, source, partial)
        damage(partial)
        return facts

    monkeypatch.setattr(Backup, "_copy", copy_and_damage)
    with pytest.raises(BackupFailed, match="the copy"):
        back_up(keep=1)

    assert backups(tmp_path) == [FIRST]


def test_a_database_that_is_itself_damaged_is_not_backed_up(
    back_up: Callable[..., dict[str, Any]], database: Path, tmp_path: Path
) -> None:
    rows(database, "PRAGMA wal_checkpoint(TRUNCATE)")
    damage_page(database)

    with pytest.raises((BackupFailed, sqlite3.DatabaseError)):
        back_up()

    assert backups(tmp_path) == []


def test_a_file_that_is_no_database_fails_the_run(
    back_up: Callable[..., dict[str, Any]], database: Path, tmp_path: Path
) -> None:
    database.write_bytes(b"hello" * 1000)

    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        back_up()

    assert backups(tmp_path) == []


def test_what_a_killed_backup_left_is_cleared(
    back_up: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in (".app.db.partial", ".app.db.partial-journal", ".app.db.partial-wal"):
        (folder / name).write_bytes(b"half")

    back_up()

    assert backups(tmp_path) == [FIRST]


@pytest.mark.parametrize("step", ["_verify", "_flush", "_free_name"])
def test_a_step_that_fails_leaves_no_half_file(
    back_up: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, step, fail)
    with pytest.raises(OSError, match="No space"):
        back_up()

    assert backups(tmp_path) == []


def test_a_missing_database_is_skipped_quietly(
    make: Callable[[type[Backup]], Backup], tmp_path: Path
) -> None:
    missing, folder = tmp_path / "none.db", tmp_path / "backups"

    result = make(Backup).database(database=str(missing), folder=str(folder))

    assert result == {"skipped": f"there is no database {missing}"}
    assert not folder.exists()
    assert not missing.exists()


def test_a_backup_under_way_elsewhere_is_skipped(
    back_up: Callable[..., dict[str, Any]], database: Path, tmp_path: Path
) -> None:
    (tmp_path / "backups").mkdir()
    with (tmp_path / "backups" / ".app.db.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        result = back_up()

    assert result == {"skipped": f"another backup of {database} is under way"}
    assert backups(tmp_path) == []


def test_keeping_none_is_refused(back_up: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="keep=0"):
        back_up(keep=0)


def test_the_program_that_uses_the_database_keeps_its_locks(
    back_up: Callable[..., dict[str, Any]], database: Path
) -> None:
    """Closing a plain handle of the file would drop them: a second writer would then get in."""
    rows(database, "PRAGMA journal_mode = DELETE")
    with closing(sqlite3.connect(database, isolation_level=None)) as user:
        user.execute("BEGIN IMMEDIATE")
        back_up()
        script = (
            "import sqlite3, sys; d = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)"
            "; d.execute('BEGIN IMMEDIATE')"
        )
        other = _run(script, database)
        user.execute("ROLLBACK")

    assert "database is locked" in other


def _run(script: str, path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stderr
