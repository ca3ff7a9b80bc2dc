"""Rotate, on real files."""

from __future__ import annotations

import fcntl
import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from examples import rotate as module
from examples.rotate import Rotate, RotateFailed

if TYPE_CHECKING:
    from tests.examples.conftest import FixedClock

DAY = 86_400.0
TEMPORARY = ".schedule-zero-rotate.tmp"
LEASES = sys.platform == "linux"


@pytest.fixture
def handler(make: Callable[[type[Rotate]], Rotate]) -> Rotate:
    return make(Rotate)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def write(logs: Path, clock: FixedClock) -> Callable[..., Path]:
    """Writes a file that last changed so many days ago."""

    def write_one(name: str, content: bytes = b"line\n" * 1000, days: float = 30) -> Path:
        path = logs / name
        path.write_bytes(content)
        changed = clock.now().timestamp() - days * DAY
        os.utime(path, (changed, changed))
        return path

    return write_one


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_old_file_is_compressed_with_its_time_and_mode(
    handler: Rotate, logs: Path, write: Callable[..., Path]
) -> None:
    path = write("app.log.1")
    path.chmod(0o640)
    before = path.stat()

    result = handler.folder(folder=str(logs))

    archive = logs / "app.log.1.gz"
    after = archive.stat()
    assert names(logs) == ["app.log.1.gz"]
    assert gzip.decompress(archive.read_bytes()) == b"line\n" * 1000
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert result == {
        "folder": str(logs),
        "compressed": 1,
        "deleted": 0,
        "in_use": 0,
        "bytes_saved": 5000 - after.st_size,
        "bytes_deleted": 0,
    }


def test_a_second_pass_finds_nothing_to_do(
    handler: Rotate, logs: Path, write: Callable[..., Path]
) -> None:
    write("app.log.1")
    handler.folder(folder=str(logs))
    before = (logs / "app.log.1.gz").read_bytes()

    result = handler.folder(folder=str(logs))

    assert (result["compressed"], result["deleted"]) == (0, 0)
    assert (logs / "app.log.1.gz").read_bytes() == before


def test_young_files_other_names_links_pipes_and_folders_are_left_alone(
    handler: Rotate, logs: Path, tmp_path: Path, write: Callable[..., Path]
) -> None:
    outside = tmp_path / "outside.log"
    outside.write_bytes(b"not ours")
    os.utime(outside, (0, 0))
    write("young.log", days=6.9)
    write("future.log", days=-1)
    write("notes.txt")
    write("twice.log")
    os.link(logs / "twice.log", tmp_path / "twice.log")
    (logs / "link.log").symlink_to(outside)
    (logs / "sub.log").mkdir()
    (logs / "sub.log" / "inner.log").write_bytes(b"")
    os.utime(logs / "sub.log" / "inner.log", (0, 0))
    os.mkfifo(logs / "pipe.log")
    os.utime(logs / "pipe.log", (0, 0))
    before = names(logs)

    result = handler.folder(folder=str(logs))

    assert result["compressed"] == 0
    assert names(logs) == before
    assert names(logs / "sub.log") == ["inner.log"]
    assert outside.read_bytes() == b"not ours"


def test_a_file_of_the_last_minute_is_left_alone_even_if_no_age_is_asked_for(
    handler: Rotate, logs: Path, write: Callable[..., Path]
) -> None:
    write("app.log", days=30 / DAY)

    assert handler.folder(folder=str(logs), older_than_days=0)["compressed"] == 0


@pytest.mark.skipif(not LEASES, reason="only Linux can tell who has a file open")
def test_a_quiet_log_that_is_still_open_for_writing_is_left_alone(
    handler: Rotate, logs: Path, write: Callable[..., Path]
) -> None:
    path = write("app.log")
    with path.open("ab"):
        held = handler.folder(folder=str(logs))
    released = handler.folder(folder=str(logs))

    assert (held["compressed"], held["in_use"]) == (0, 1)
    assert (released["compressed"], released["in_use"]) == (1, 0)


def test_a_file_that_changes_while_it_is_read_is_left_alone(
    handler: Rotate,
    logs: Path,
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write("app.log")

    def read_and_append(source: int) -> Iterator[bytes]:
        yield os.read(source, 100)
        with path.open("ab") as late:
            late.write(b"a late line\n")

    monkeypatch.setattr(module, "_read", read_and_append)
    result = handler.folder(folder=str(logs))

    assert (result["compressed"], result["in_use"]) == (0, 1)
    assert names(logs) == ["app.log"]
    assert path.read_bytes().endswith(b"a late line\n")


def test_an_original_that_changes_once_its_archive_is_made_stays(
    handler: Rotate,
    logs: Path,
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write("app.log", b"content")
    link = os.link

    def link_and_append(*args: str, **kwargs: int) -> None:
        link(*args, **kwargs)
        with path.open("ab") as late:
            late.write(b" and a late line")

    monkeypatch.setattr(os, "link", link_and_append)
    result = handler.folder(folder=str(logs))

    assert (result["compressed"], result["in_use"]) == (0, 1)
    assert path.read_bytes() == b"content and a late line"


def test_a_log_equal_to_an_older_one_gets_an_archive_of_its_own(
    handler: Rotate, logs: Path, write: Callable[..., Path]
) -> None:
    write("app.log.gz", gzip.compress(b"same"), days=40)
    write("app.log", b"same", days=30)

    handler.folder(folder=str(logs))

    assert names(logs) == ["app.log.20261024T084530Z.gz", "app.log.gz"]


def test_an_existing_archive_of_that_name_is_never_replaced(
    handler: Rotate, logs: Path, write: Callable[..., Path]
) -> None:
    write("app.log.1.gz", gzip.compress(b"older"), days=40)
    for content in (b"first", b"second"):
        write("app.log.1", content)
        handler.folder(folder=str(logs))

    stamp = "20261024T084530Z"
    assert {path.name: gzip.decompress(path.read_bytes()) for path in logs.iterdir()} == {
        "app.log.1.gz": b"older",
        f"app.log.1.{stamp}.gz": b"first",
        f"app.log.1.{stamp}-2.gz": b"second",
    }


def test_an_archive_already_made_is_recognised_and_only_the_original_removed(
    handler: Rotate, logs: Path, write: Callable[..., Path]
) -> None:
    write("app.log.1", b"same")
    write("app.log.1.gz", gzip.compress(b"same"))
    inode = (logs / "app.log.1.gz").stat().st_ino

    assert handler.folder(folder=str(logs))["compressed"] == 1

    assert names(logs) == ["app.log.1.gz"]
    assert (logs / "app.log.1.gz").stat().st_ino == inode


@pytest.mark.parametrize(
    "damage",
    [b"", b"no gzip at all", gzip.compress(b"same", mtime=0)[:-5]],
    ids=["empty", "other", "cut"],
)
def test_a_damaged_archive_does_not_count_as_one(
    handler: Rotate, logs: Path, write: Callable[..., Path], damage: bytes
) -> None:
    write("app.log.1", b"same")
    write("app.log.1.gz", damage)

    handler.folder(folder=str(logs))

    assert (logs / "app.log.1.gz").read_bytes() == damage
    assert gzip.decompress((logs / "app.log.1.20261024T084530Z.gz").read_bytes()) == b"same"


def test_an_archive_that_does_not_read_back_leaves_the_original(
    handler: Rotate,
    logs: Path,
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("app.log.1")
    fsync = os.fsync

    def damage_then_fsync(file: int) -> None:
        if os.path.basename(os.readlink(f"/proc/self/fd/{file}")) == TEMPORARY:
            os.pwrite(file, b"\xff\xff", 30)
        fsync(file)

    monkeypatch.setattr(os, "fsync", damage_then_fsync)
    with pytest.raises(RotateFailed, match=r"app\.log\.1"):
        handler.folder(folder=str(logs))

    assert names(logs) == ["app.log.1"]


def test_one_bad_file_fails_the_run_after_the_others_were_done(
    handler: Rotate,
    logs: Path,
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("a.log", "b.log", "c.log"):
        write(name)
    opened: Callable[..., int] = os.open

    def refuse_b(path: object, *args: object, **kwargs: object) -> int:
        if path == "b.log":
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse_b)
    with pytest.raises(RotateFailed, match=r"1 files .*2 compressed.*b\.log"):
        handler.folder(folder=str(logs))

    assert names(logs) == ["a.log.gz", "b.log", "c.log.gz"]


def test_a_name_that_is_no_text_is_rotated_and_can_be_reported(
    handler: Rotate, logs: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = os.fsdecode(b"caf\xe9.log")
    write(name)
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", lambda *_, **__: os.stat("/dev/null/no"))
        with pytest.raises(RotateFailed) as failure:
            handler.folder(folder=str(logs))
    str(failure.value).encode("utf-8")

    assert handler.folder(folder=str(logs))["compressed"] == 1
    assert names(logs) == [name + ".gz"]


def test_the_newest_archives_are_kept_and_the_others_deleted(
    handler: Rotate, logs: Path, write: Callable[..., Path]
) -> None:
    for days in (10, 11, 12, 13):
        write(f"app.log.{days}", days=days)
    write("dump.gz")  # not an archive of the pattern

    result = handler.folder(folder=str(logs), keep=2)

    assert (result["compressed"], result["deleted"]) == (4, 2)
    assert int(str(result["bytes_deleted"])) > 0
    assert names(logs) == ["app.log.10.gz", "app.log.11.gz", "dump.gz"]


def test_an_archive_of_the_last_minute_is_not_deleted(
    handler: Rotate, logs: Path, write: Callable[..., Path]
) -> None:
    """Another program may be writing it."""
    for number in range(3):
        write(f"app.log.{number}.gz", days=(10 + number) / DAY)

    assert handler.folder(folder=str(logs), keep=1)["deleted"] == 0


def test_archives_past_their_age_are_deleted_stamped_ones_too(
    handler: Rotate, logs: Path, write: Callable[..., Path]
) -> None:
    packed = gzip.compress(b"x")
    write("app.log.gz", packed, days=91)
    write("app.log.20260101T000000Z.gz", packed, days=91)
    write("app.log.20260101T000000Z-2.gz", packed, days=91)
    write("web.log.gz", packed, days=89)
    write("app.txt.gz", packed, days=91)
    (logs / "link.log.gz").symlink_to(logs / "web.log.gz")

    result = handler.folder(folder=str(logs), pattern="*.log")

    assert result["deleted"] == 3
    assert names(logs) == ["app.txt.gz", "link.log.gz", "web.log.gz"]


def test_a_missing_folder_is_skipped_quietly(handler: Rotate, tmp_path: Path) -> None:
    missing = tmp_path / "none"

    assert handler.folder(folder=str(missing)) == {"skipped": f"there is no folder {missing}"}


def test_a_folder_that_another_pass_holds_is_skipped(
    handler: Rotate, logs: Path, write: Callable[..., Path]
) -> None:
    write("app.log.1")
    other = os.open(logs, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    try:
        result = handler.folder(folder=str(logs))
    finally:
        os.close(other)

    assert result == {"skipped": f"another rotation of {logs} is under way"}
    assert names(logs) == ["app.log.1"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"pattern": "../*.log"}, "pattern"),
        ({"pattern": ""}, "pattern"),
        ({"older_than_days": -1}, "older_than_days"),
        ({"older_than_days": float("nan")}, "older_than_days"),
        ({"keep": 0}, "keep"),
        ({"older_than_days": 10, "delete_after_days": 5}, "delete_after_days"),
    ],
)
def test_senseless_arguments_are_refused(
    handler: Rotate, logs: Path, arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=f"^{named}="):
        handler.folder(folder=str(logs), **arguments)


@pytest.mark.parametrize("call", ["link", "unlink", "fsync", "utime", "fchmod", "read", "stat"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_call_that_fails_loses_nothing_and_the_next_pass_completes(
    handler: Rotate,
    logs: Path,
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    nth: int,
) -> None:
    write("app.log.1", b"content")
    real, done = getattr(os, call), 0

    def fail_once(*args: object, **kwargs: object) -> object:
        nonlocal done
        done += 1
        if done == nth:
            raise OSError(28, "No space left on device")
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail_once)
        with suppress(RotateFailed, OSError):
            handler.folder(folder=str(logs))
    left = {path.name: path.read_bytes() for path in logs.iterdir()}

    assert (
        left.get("app.log.1") == b"content" or gzip.decompress(left["app.log.1.gz"]) == b"content"
    )
    handler.folder(folder=str(logs))
    assert names(logs) == ["app.log.1.gz"]
    assert gzip.decompress((logs / "app.log.1.gz").read_bytes()) == b"content"


def test_a_kill_at_any_system_call_loses_nothing_and_the_next_pass_completes(
    tmp_path: Path,
) -> None:
    script = Path(__file__).with_name("kill_rotate.py")
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
