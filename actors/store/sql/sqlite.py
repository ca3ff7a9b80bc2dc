"""All that is particular to SQLite: opening, pragmas, transactions, and the words of its SQL.

Another database needs another file like this one.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, ProgrammingError
from sqlalchemy.pool import QueuePool

from schedule_zero.actors.errors import StoreError, StoreUnavailable
from schedule_zero.actors.store.schema import build_tables, found_version, migrate, refuse_newer

_READ = "schedule_zero_read"
_TRIES = 50


class SqliteBackend:
    """An SQLite file: WAL, every commit synced, writers one after the other.

    `patience`: how many seconds to wait for another program's write.
    """

    def __init__(self, path: Path, patience: float) -> None:
        self.path = path
        self._patience = patience
        self._writer = threading.Lock()
        self._engine: Engine | None = None
        self._inode: int | None = None

    def open(self) -> None:
        """Open the file, or make it. Raises `StoreUnavailable` or `SchemaTooNew`."""
        self._check_place()
        engine = self._make_engine()
        try:
            with self._explained(), engine.connect() as connection:
                refuse_newer(found_version(connection), str(self.path))
            with self._explained():
                self._switch_to_wal(engine)
                with engine.begin() as connection:
                    migrate(connection, build_tables("sqlite"), str(self.path))
        except BaseException:
            engine.dispose()
            raise
        self._engine = engine
        self._inode = self.path.stat().st_ino

    def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @property
    def engine(self) -> Engine:
        """The engine. Raises `StoreUnavailable` while closed."""
        if self._engine is None:
            raise StoreUnavailable(f"the store {self.path} is closed: open it before use")
        return self._engine

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction; threads of this process take turns."""
        with self._writer, self._explained(), self.engine.begin() as connection:
            self._check_identity()
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction that sees one state of the file."""
        with self._explained(), self.engine.connect() as connection:
            yield connection.execution_options(**{_READ: True})

    def _check_identity(self) -> None:
        """SQLite goes on writing to a file that was deleted; nobody would ever read it."""
        try:
            found: int | None = self.path.stat().st_ino
        except FileNotFoundError:
            found = None
        if found != self._inode:
            raise StoreUnavailable(
                f"database {self.path} was deleted or replaced while it was open: put it back if "
                "you can, or restart the node"
            )

    def _check_place(self) -> None:
        if self.path.is_dir():
            raise StoreUnavailable(
                f"database path {self.path} is a directory: give the path of a file in it, such as "
                f"{self.path / 'schedule_zero.db'}"
            )
        if not self.path.parent.is_dir():
            raise StoreUnavailable(
                f"database path {self.path}: the directory {self.path.parent} does not exist: "
                "make it first"
            )

    def _make_engine(self) -> Engine:
        engine = create_engine(
            f"sqlite:///{self.path}",
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=-1,
            connect_args={"timeout": self._patience, "check_same_thread": False},
        )
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
        return engine

    def _switch_to_wal(self, engine: Engine) -> None:
        # Not in a transaction; and SQLite does not wait here for another that does the same.
        for tries in range(_TRIES):
            raw = engine.raw_connection()
            try:
                raw.cursor().execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or tries * 0.05 >= self._patience:
                    raise StoreUnavailable(self._sentence(error)) from error
            else:
                return
            finally:
                raw.close()
            time.sleep(0.05)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Database errors become `StoreUnavailable` with one sentence; our mistakes do not."""
        try:
            yield
        except (IntegrityError, ProgrammingError, DataError) as error:
            raise StoreError(f"database {self.path} refused: {error.orig}") from error
        except DatabaseError as error:
            raise StoreUnavailable(self._sentence(error.orig or error)) from error

    def _sentence(self, error: BaseException) -> str:
        found = str(error)
        if "locked" in found:
            return (
                f"database {self.path} is locked by another program for more than "
                f"{self._patience:g} s: end that program's transaction, or use another file"
            )
        if "not a database" in found or "malformed" in found:
            return (
                f"{self.path} is not a sound SQLite database ({found}): "
                "restore it from a backup, or give another path"
            )
        if "readonly" in found or "unable to open" in found or "disk I/O" in found:
            return (
                f"database {self.path} cannot be opened or written ({found}): let this user write "
                "to the file and its directory, or give another path"
            )
        if "full" in found:
            return f"database {self.path} cannot be written ({found}): free some space"
        return f"database {self.path} refused ({found}): see that no other program uses its tables"


def _on_connect(raw: Any, _record: object) -> None:
    raw.isolation_level = None  # we begin transactions ourselves, see below
    raw.execute("PRAGMA synchronous = FULL")


def _on_begin(connection: Connection) -> None:
    is_read = connection.get_execution_options().get(_READ, False)
    connection.exec_driver_sql("BEGIN" if is_read else "BEGIN IMMEDIATE")
