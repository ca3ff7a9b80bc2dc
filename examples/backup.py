"""Backup: a verified copy of a SQLite database, taken while it is in use.

The rules it keeps:

- A backup gets its name only when it is complete, verified and on disk; old ones are deleted only
  after that.
- The copy and the facts it is compared with come from one read transaction, so that writers at
  work meanwhile make no difference.
- The database's file is only ever opened by SQLite: closing a plain handle of it would drop the
  locks that this process holds on it (sqlite.org/howtocorrupt.html, 2.2).

For POSIX systems.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from attrs import frozen

from schedule_zero.actors import Handler, blocking, every


class BackupFailed(RuntimeError):
    """The copy could not be verified, and was deleted. Older backups were left alone."""


@frozen
class Facts:
    """What a database and its copy must agree in: definitions, and rows in each table."""

    version: int
    schema: tuple[tuple[str, str, str], ...]
    rows: dict[str, int]


class Backup(Handler):
    """Backs up SQLite databases."""

    @every(days=1, overlap="skip", retries=3, timeout=3600.0, on_lost="retry")
    @blocking
    def database(
        self,
        database: str = "var/schedule-zero.db",
        folder: str = "var/backups",
        keep: int = 5,
    ) -> dict[str, object]:
        """Copy `database` to `folder`, as `NAME-20261123T084500Z.db`; keep the newest `keep`.

        Writers go on while it is copied if the database is in WAL mode, and wait otherwise. Two
        databases of the same file name need a folder each.

        Returns the backup's path, bytes, tables and rows, and how many old ones were deleted, or
        `{"skipped": why}`. Raises `ValueError` for a senseless `keep`, `BackupFailed` if the copy
        is not sound or not equal, and `sqlite3.Error` if it could not be made.
        """
        if keep < 1:
            raise ValueError(f"keep={keep}: expected 1 or more")
        source, target = Path(database), Path(folder)
        if not source.exists():
            return {"skipped": f"there is no database {database}"}
        target.mkdir(parents=True, exist_ok=True)
        with _locked(target / f".{source.name}.lock") as is_ours:
            if not is_ours:
                return {"skipped": f"another backup of {database} is under way"}
            return self._back_up(source, target, keep)

    def _back_up(self, source: Path, folder: Path, keep: int) -> dict[str, object]:
        partial = folder / f".{source.name}.partial"
        _remove(partial)  # of a backup that was killed
        try:
            facts = self._copy(source, partial)
            _verify(partial, facts)
            _flush(partial)
            backup = _free_name(source, folder, self.context.node.clock.now())
            partial.rename(backup)
            _flush(folder)
        finally:
            _remove(partial)
        return {
            "backup": str(backup),
            "bytes": backup.stat().st_size,
            "tables": len(facts.rows),
            "rows": sum(facts.rows.values()),
            "deleted": _delete_old(source, backup, keep),
        }

    def _copy(self, source: Path, partial: Path) -> Facts:
        """Copy the database as it is at one moment, and return the facts of that moment."""
        # Made before SQLite does, so that a private database is never readable to others.
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        with (
            closing(_connect(source, "mode=rw")) as original,
            closing(_connect(partial, "mode=rw")) as copy,
        ):
            original.execute("PRAGMA query_only = ON")
            original.execute("BEGIN")
            facts = _facts(original)  # the first read fixes the moment
            copy.execute("PRAGMA journal_mode = OFF")  # a copy that fails is thrown away
            copy.execute("PRAGMA synchronous = OFF")  # and one that does not is flushed at the end
            original.backup(copy)
        partial.chmod(stat.S_IMODE(source.stat().st_mode) & 0o777)
        return facts


def _verify(partial: Path, expected: Facts) -> None:
    try:
        # Immutable: without lock and journal files beside it, and from the file alone.
        with closing(_connect(partial, "mode=ro&immutable=1")) as copy:
            problems = [str(row[0]) for row in copy.execute("PRAGMA integrity_check(5)")]
            found = _facts(copy)
    except sqlite3.DatabaseError as error:
        raise BackupFailed(f"the copy cannot be read: {error}; is the database sound?") from error
    if problems != ["ok"]:
        raise BackupFailed(f"the copy is damaged; is the database sound? {'; '.join(problems)}")
    if found != expected:
        raise BackupFailed(f"the copy differs: expected {expected}, found {found}")


def _connect(path: Path, options: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{options}"
    return sqlite3.connect(uri, uri=True, timeout=30.0, isolation_level=None)


def _facts(database: sqlite3.Connection) -> Facts:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    schema = database.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
    # A virtual table's rows are in its shadow tables, which are tables like any other.
    tables = [
        name
        for kind, name, sql in schema
        if kind == "table" and not sql.upper().startswith("CREATE VIRTUAL")
    ]
    rows = {}
    for table in tables:
        quoted = table.replace('"', '""')
        (rows[table],) = database.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()
    return Facts(version, tuple(schema), rows)


def _free_name(source: Path, folder: Path, now: datetime) -> Path:
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    path = folder / f"{source.stem}-{stamp}{source.suffix}"
    for number in count(2):
        if not path.exists():
            break
        path = folder / f"{source.stem}-{stamp}-{number}{source.suffix}"
    return path


def _delete_old(source: Path, backup: Path, keep: int) -> int:
    """Delete all but the newest; never the one just made, even if the clock went back."""
    form = re.compile(
        rf"{re.escape(source.stem)}-(\d{{8}}T\d{{6}}Z)(?:-(\d+))?{re.escape(source.suffix)}"
    )
    others = [
        (match[1], int(match[2] or 1), path)
        for path in backup.parent.iterdir()
        if (match := form.fullmatch(path.name)) and path != backup and not path.is_symlink()
    ]
    old = sorted(others, reverse=True)[keep - 1 :]
    for _, _, path in old:
        path.unlink(missing_ok=True)
    return len(old)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether we alone hold this lock file. The system gives it back if we are killed."""
    held = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(held)


def _flush(path: Path) -> None:
    """Put a file, or a folder's names, on disk."""
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _remove(partial: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            partial.with_name(partial.name + suffix).unlink()
