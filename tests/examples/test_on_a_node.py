"""The examples as `make run` runs them: each on its own schedule, to its end in the ledger."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio

from examples.backup import Backup
from examples.hello import Hello
from examples.rotate import Rotate
from examples.watch import Watch
from schedule_zero.actors.app.components import components
from schedule_zero.actors.store import Store, StoreAccess, open_store
from schedule_zero.runtime import Node, SystemClock

SCHEDULES = ("backup.database", "hello.flaky", "hello.tick", "rotate.folder", "watch.check")


async def results(node: Node, store: Store) -> dict[str, object]:
    """What each schedule's first run returned, once all have ended."""
    found: dict[str, object] = {}
    while len(found) < len(SCHEDULES):
        for name in SCHEDULES:
            for run in await node.run_blocking(partial(store.list_runs, name)):
                if run.state == "succeeded":
                    found[name] = run.result
        await trio.sleep(0.05)
    return found


async def test_each_example_runs_on_its_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var").mkdir()
    clock = SystemClock()
    with open_store("var/schedule-zero.db") as store:
        owner = f"n@{store.begin_life('n')}"
        spec = components((Backup, Hello, Rotate, Watch), StoreAccess(store), owner, clock.now())
        with trio.fail_after(30):
            async with Node("n", spec) as node:
                found = await results(node, store)
    assert list((tmp_path / "var" / "backups").glob("*.db")), found["backup.database"]
    assert (tmp_path / "var" / "watch.db").exists()
    assert "greeting" in str(found["hello.tick"])
    assert isinstance(found["rotate.folder"], dict)
