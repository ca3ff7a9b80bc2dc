"""A node's life as a lock on a file beside the database: it ends with the process, however."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from urllib.parse import quote

from schedule_zero.actors.errors import NodeNameInUse, StoreUnavailable


class LifeLock:
    """Held by the one living node of a name; the operating system drops it when it dies."""

    def __init__(self, database: Path, node: str) -> None:
        self._path = database.with_name(f"{database.name}.{quote(node, safe='')}.lock")
        self._node = node
        self._file = -1

    def acquire(self) -> None:
        """Take it. Raises `NodeNameInUse` if another living node has it."""
        while self._file < 0:
            file = self._opened()
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(file)
                raise NodeNameInUse(
                    f"a node named {self._node!r} is living on this database ({self._path.name} is "
                    "locked): stop it, or give this node another name"
                ) from error
            if self._is_current(file):
                self._file = file
            else:  # its last holder removed the file between our opening and locking it
                os.close(file)

    def release(self) -> None:
        """Let go, and leave no file behind."""
        if self._file >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = -1

    def _opened(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(
                f"the lock file {self._path} cannot be made ({error.strerror}): "
                "let this user write to the directory of the database"
            ) from error

    def _is_current(self, file: int) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(os.fstat(file), there)
