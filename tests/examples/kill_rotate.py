"""Runs Rotate in child processes and kills each at another system call; prints how many.

Not a test module: `test_rotate` starts it, because forking wants a process with one thread.
"""

from __future__ import annotations

import gzip
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from examples.rotate import Rotate

NOW = datetime(2026, 11, 23, 8, 45, 30, tzinfo=UTC)
CALLS = (
    *("open", "read", "lseek", "stat", "fstat", "scandir", "close"),
    *("fchmod", "fchown", "utime", "fsync", "link", "unlink"),
)
CONTENTS = {"a.log.1": b"one\n" * 5_000, "a.log.2": b"two\n" * 400_000, "b.log": b""}


def fill(folder: Path) -> None:
    """Three old logs, one of several chunks and one empty, and an archive with a taken name."""
    folder.mkdir()
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
        old = NOW.timestamp() - 30 * 86_400
        os.utime(folder / name, (old, old))
    (folder / "a.log.1.gz").write_bytes(gzip.compress(b"last year's"))
    other = NOW.timestamp() - 60 * 86_400
    os.utime(folder / "a.log.1.gz", (other, other))


def rotate(folder: Path) -> dict[str, object]:
    """One pass, at `NOW`."""
    handler = Rotate()
    clock = SimpleNamespace(now=lambda: NOW)
    handler.context = SimpleNamespace(node=SimpleNamespace(clock=clock))
    return handler.folder(folder=str(folder))


def kill_at(number: int) -> None:
    """From now on, the process kills itself just before its `number`-th system call."""
    done = 0

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **kwargs: object) -> object:
            nonlocal done
            done += 1
            if done == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return wrapper

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


def kept(folder: Path) -> list[bytes]:
    """The contents that are in the folder under a real name, packed or not; each once."""
    found = set()
    for path in folder.iterdir():
        if not path.name.startswith("."):
            raw = path.read_bytes()
            found.add(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    return sorted(found)


def was_killed(folder: Path, number: int) -> bool:
    """Rotate in a child that dies at that call; whether it got so far."""
    child = os.fork()
    if child == 0:
        kill_at(number)
        rotate(folder)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, f"the pass failed at call {number}"
    return False


def main(root: Path) -> None:
    """Kill at the first call, the second, and so on, until a pass ends by itself."""
    expected = sorted([*CONTENTS.values(), b"last year's"])
    number = 0
    alive = False
    while not alive:
        number += 1
        folder = root / str(number)
        fill(folder)
        alive = not was_killed(folder, number)
        assert kept(folder) == expected, f"killed at call {number}: lost something"
        rotate(folder)
        assert kept(folder) == expected, f"killed at call {number}: the next pass lost something"
        names = sorted(path.name for path in folder.iterdir())
        stamped = "a.log.1.20261024T084530Z.gz"
        assert names == [stamped, "a.log.1.gz", "a.log.2.gz", "b.log.gz"], f"{number}: {names}"
    print(number)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
