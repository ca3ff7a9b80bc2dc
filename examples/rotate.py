"""Rotate: compress old log files, and delete the oldest of the compressed ones.

The rules it keeps, so that nothing is lost if it is killed at any point:

- An archive gets its name only when it is complete, on disk and read back.
- An original is removed only when its archive has its name, on disk, and the original is still
  the file that was read.
- No existing file is ever replaced: if `app.log.1.gz` is there with other contents, the archive
  is `app.log.1.20261123T084500Z.gz`, after the time of the last change.
- One pass at a time works in a folder, in any process: the folder is locked (`flock`, which a
  killed process gives back), so what is left of a killed pass can be cleared by the next.
- All names are looked up in the opened folder, and no link is followed.

For POSIX systems, and file systems with hard links.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import os
import re
import signal
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import count
from typing import IO

from attrs import Factory, define

from schedule_zero.actors import Handler, blocking, every

_DAY = 86_400.0
_CHUNK = 1 << 20
_QUIET = 60.0  # seconds: a file changed more recently than this is being written
_TEMPORARY = ".schedule-zero-rotate.tmp"
_STAMP = re.compile(r"\.\d{8}T\d{6}Z(-\d+)?$")


class RotateFailed(RuntimeError):
    """Some files could not be rotated; the others were."""


class Rotate(Handler):
    """Keeps log folders small."""

    @every(hours=1, overlap="skip", retries=3, timeout=1800.0, on_lost="retry")
    @blocking
    def folder(
        self,
        folder: str = "var/logs",
        pattern: str = "*.log*",
        older_than_days: float = 7,
        keep: int = 100,
        delete_after_days: float = 90,
    ) -> dict[str, object]:
        """Compress and delete in one folder; its subfolders are left alone.

        Files whose names match `pattern` and that last changed more than `older_than_days` ago
        are compressed to `.gz`; time of change, mode and owner are kept. Compressed files of the
        pattern are deleted when there are `keep` newer ones, or after `delete_after_days`.

        A file that is being written is left alone: changed within the last minute, changed while
        it was read, or (on Linux) open for writing in some process. So are links, and files with
        more than one name.

        Returns counts and bytes, or `{"skipped": why}`. Raises `ValueError` for arguments that
        make no sense, and `RotateFailed`, after the whole pass, when a file could not be rotated.
        """
        _check(pattern, older_than_days, keep, delete_after_days)
        now = self.context.node.clock.now().timestamp()
        try:
            at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return {"skipped": f"there is no folder {folder}"}
        try:
            fcntl.flock(at, fcntl.LOCK_EX | fcntl.LOCK_NB)
            rotation = _Rotation(at, now, pattern)
            rotation.compress(older_than_days * _DAY)
            rotation.delete(keep, delete_after_days * _DAY)
        except BlockingIOError:
            return {"skipped": f"another rotation of {folder} is under way"}
        finally:
            os.close(at)
        return rotation.result(folder)


@define
class _Rotation:
    """One pass over one folder, which is open as `at` and locked."""

    at: int
    now: float
    pattern: str
    compressed: int = 0
    deleted: int = 0
    in_use: int = 0
    bytes_saved: int = 0
    bytes_deleted: int = 0
    failures: list[str] = Factory(list)

    def result(self, folder: str) -> dict[str, object]:
        """What was done; raises when something could not be."""
        if self.failures:
            raise RotateFailed(
                f"{folder}: {len(self.failures)} files could not be rotated ({self.compressed} "
                f"compressed, {self.deleted} deleted): {'; '.join(self.failures[:5])}"
            )
        return {
            "folder": folder,
            "compressed": self.compressed,
            "deleted": self.deleted,
            "in_use": self.in_use,
            "bytes_saved": self.bytes_saved,
            "bytes_deleted": self.bytes_deleted,
        }

    def compress(self, age: float) -> None:
        """Compress what is older than `age` seconds, oldest first."""
        self._clear_temporary()
        wanted = [
            (status.st_mtime_ns, name)
            for name, status in self._files()
            if not name.endswith(".gz")
            and fnmatchcase(name, self.pattern)
            and self.now - status.st_mtime > max(age, _QUIET)
        ]
        for _, name in sorted(wanted):
            self._attempt(name, self._compress)

    def delete(self, keep: int, age: float) -> None:
        """Delete archives that have `keep` newer ones, or that are older than `age` seconds."""
        archives = [
            (status.st_mtime_ns, name, status)
            for name, status in self._files()
            if name.endswith(".gz") and fnmatchcase(_original(name), self.pattern)
        ]
        for rank, (_, name, status) in enumerate(sorted(archives, reverse=True)):
            elapsed = self.now - status.st_mtime
            if elapsed > _QUIET and (rank >= keep or elapsed > age):
                self._attempt(name, self._delete)

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Regular files with one name; never links."""
        with os.scandir(self.at) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if _is_plain(status) and entry.name != _TEMPORARY:
                        yield entry.name, status

    def _attempt(self, name: str, step: Callable[[str], None]) -> None:
        try:
            step(name)
        except FileNotFoundError:
            pass  # gone meanwhile: somebody else tidies up here too
        except (OSError, RotateFailed) as error:
            shown = os.fsencode(name).decode("utf-8", "backslashreplace")
            self.failures.append(f"{shown}: {error}")
        finally:
            self._clear_temporary()

    def _delete(self, name: str) -> None:
        size = os.stat(name, dir_fd=self.at, follow_symlinks=False).st_size
        os.unlink(name, dir_fd=self.at)
        self.deleted += 1
        self.bytes_deleted += size

    def _compress(self, name: str) -> None:
        # O_NONBLOCK: if a pipe has taken the name meanwhile, opening it must not hang.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        source = os.open(name, flags, dir_fd=self.at)
        try:
            before = os.fstat(source)
            if not _is_plain(before) or _has_writer(source):
                self.in_use += 1
                return
            archive = self._archive(name, source, before)
            if archive is None or not self._is_unchanged(name, source, before):
                self.in_use += 1
                return
            os.unlink(name, dir_fd=self.at)
            os.fsync(self.at)
        finally:
            os.close(source)
        packed = os.stat(archive, dir_fd=self.at, follow_symlinks=False).st_size
        self.compressed += 1
        self.bytes_saved += before.st_size - packed

    def _archive(self, name: str, source: int, before: os.stat_result) -> str | None:
        """The name of the archive that holds `source`, on disk; none if `source` has changed."""
        for archive in _archive_names(name, before):
            try:
                existing = os.stat(archive, dir_fd=self.at, follow_symlinks=False)
            except FileNotFoundError:
                break
            # A pass was killed after it made the archive and before it removed the original.
            if self._holds(archive, existing, source, before):
                os.fsync(self.at)
                return archive
        self._write_temporary(name, source, before)
        if not self._is_unchanged(name, source, before):
            return None
        # Not rename, which would replace a file that took the name since.
        os.link(_TEMPORARY, archive, src_dir_fd=self.at, dst_dir_fd=self.at)
        os.unlink(_TEMPORARY, dir_fd=self.at)
        os.fsync(self.at)
        return archive

    def _holds(
        self, archive: str, existing: os.stat_result, source: int, before: os.stat_result
    ) -> bool:
        same_time = int(existing.st_mtime) == int(before.st_mtime)
        if not same_time or not stat.S_ISREG(existing.st_mode):
            return False
        packed = os.open(archive, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.at)
        with open(packed, "rb") as opened:
            return _unpacked_digest(opened) == _digest(_read(source))

    def _write_temporary(self, name: str, source: int, before: os.stat_result) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(_TEMPORARY, flags, 0o600, dir_fd=self.at), "w+b") as temporary:
            digest = hashlib.sha256()
            with gzip.GzipFile(name, "wb", 6, temporary, int(before.st_mtime) % 2**32) as packed:
                for chunk in _read(source):
                    digest.update(chunk)
                    packed.write(chunk)
            temporary.flush()
            _copy_metadata(before, temporary.fileno())
            os.fsync(temporary.fileno())
            temporary.seek(0)
            if _unpacked_digest(temporary) != digest.digest():
                raise RotateFailed("the archive does not read back as it was written; disk fault?")

    def _is_unchanged(self, name: str, source: int, before: os.stat_result) -> bool:
        found = os.stat(name, dir_fd=self.at, follow_symlinks=False)
        return _identity(found) == _identity(before) and not _has_writer(source)

    def _clear_temporary(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(_TEMPORARY, dir_fd=self.at)


def _check(pattern: str, older_than_days: float, keep: int, delete_after_days: float) -> None:
    if not pattern or "/" in pattern:
        raise ValueError(f"pattern={pattern!r}: expected a pattern of file names, such as '*.log*'")
    if not older_than_days >= 0:
        raise ValueError(f"older_than_days={older_than_days}: expected 0 or more")
    if keep < 1:
        raise ValueError(f"keep={keep}: expected 1 or more")
    if not delete_after_days >= older_than_days:
        raise ValueError(
            f"delete_after_days={delete_after_days}: expected at least older_than_days "
            f"({older_than_days}), or files would be deleted as soon as they are compressed"
        )


def _archive_names(name: str, status: os.stat_result) -> Iterator[str]:
    yield f"{name}.gz"
    stamp = datetime.fromtimestamp(int(status.st_mtime), UTC).strftime("%Y%m%dT%H%M%SZ")
    yield f"{name}.{stamp}.gz"
    for number in count(2):
        yield f"{name}.{stamp}-{number}.gz"


def _original(archive: str) -> str:
    return _STAMP.sub("", archive.removesuffix(".gz"))


def _is_plain(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _has_writer(source: int) -> bool:
    """Whether some process has the file open for writing, where the system can tell.

    A log that is quiet for a week may still be open: what its program wrote after we removed it
    would be lost. Linux grants a read lease only on a file that nobody has open for writing.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # A lease that is broken sends SIGIO, which ends a process; SIGURG is ignored.
        fcntl.fcntl(source, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(source, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(source, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN  # otherwise: not our file, or no leases here
    return False


def _read(source: int) -> Iterator[bytes]:
    os.lseek(source, 0, os.SEEK_SET)
    while chunk := os.read(source, _CHUNK):
        yield chunk


def _digest(chunks: Iterator[bytes]) -> bytes:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()


def _unpacked_digest(packed: IO[bytes]) -> bytes | None:
    """The digest of what the archive holds; none if it is damaged."""
    try:
        with gzip.GzipFile(fileobj=packed, mode="rb") as opened:
            return _digest(iter(lambda: opened.read(_CHUNK), b""))
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return None


def _copy_metadata(status: os.stat_result, to: int) -> None:
    with suppress(PermissionError):  # only root may give files away
        os.fchown(to, status.st_uid, status.st_gid)
    os.fchmod(to, stat.S_IMODE(status.st_mode) & 0o777)
    os.utime(to, ns=(status.st_atime_ns, status.st_mtime_ns))
