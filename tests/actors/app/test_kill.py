"""L8: kill -9 of a node at any moment, twenty times, and the ledger still holds L1 to L4."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from schedule_zero.actors.store import Run, open_store
from tests.actors.app.nodes import running_node

KILLS = 20
INTERVAL = 0.2

JOBS = """
import os
import trio
from schedule_zero.actors import Handler, every


def note(word, call):
    line = f"{word} {call.run_id} {call.attempt} {call.token} {os.getpid()}\\n"
    with open("effects.log", "ab", buffering=0) as file:
        file.write(line.encode())


class Jobs(Handler):
    concurrency = 4

    @every(seconds=0.2, on_lost="retry", overlap="allow_all", coalesce="all", retries=50)
    async def again(self) -> int:
        note("begin-again", self.invocation)
        await trio.sleep(0.1)
        note("end-again", self.invocation)
        return self.invocation.attempt

    @every(seconds=0.2, on_lost="fail", overlap="allow_all", coalesce="all", retries=0)
    async def at_most_once(self) -> None:
        note("begin-once", self.invocation)
        await trio.sleep(0.1)
        note("end-once", self.invocation)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Run], list[list[str]], datetime]:
    """The ledger and the effects after the kills, one quiet run and a clean stop."""
    folder = tmp_path_factory.mktemp("kill")
    (folder / "kill_jobs.py").write_text(JOBS)
    moments = random.Random(20)
    arguments = ("kill_jobs", "--data", "var", "--no-web")
    for _ in range(KILLS):
        with running_node(*arguments, cwd=folder) as node:
            time.sleep(moments.uniform(0.05, 0.7))  # real processes: only real time passes
            node.kill()
    with running_node(*arguments, cwd=folder) as node:
        _wait_until_caught_up(folder)
        stopped_at = datetime.now(UTC)
        assert node.interrupt() == 0
    effects = [line.split() for line in (folder / "effects.log").read_text().splitlines()]
    return _runs(folder), effects, stopped_at


def _wait_until_caught_up(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.5)
        late = datetime.now(UTC) - timedelta(seconds=1)
        if not any(run.is_open and run.fire_time < late for run in _runs(folder)):
            return
    pytest.fail("the node did not catch up within 60 s")


def _runs(folder: Path) -> list[Run]:
    store = open_store(str(folder / "var" / "schedule-zero.db"))
    try:
        return store.list_runs(limit=1_000_000)
    finally:
        store.close()


def test_every_nominal_fire_has_exactly_one_row(killed: tuple[list[Run], object, object]) -> None:
    runs, _, _ = killed
    for method in ("again", "at_most_once"):
        fires = sorted(run.fire_time for run in runs if run.method == method)
        steps = {(late - early).total_seconds() for early, late in pairwise(fires)}
        assert len(fires) > KILLS
        assert steps == {INTERVAL}


def test_every_row_ended_or_is_open_and_still_to_come(
    killed: tuple[list[Run], object, datetime],
) -> None:
    runs, _, stopped_at = killed
    for run in runs:
        if run.is_open:
            assert run.fire_time > stopped_at - timedelta(seconds=1), run
            assert run.finished_at is None
        else:
            assert run.finished_at is not None
            assert run.reason or run.state in ("succeeded", "failed", "lost", "cancelled")


def test_at_most_once_begins_at_most_once(
    killed: tuple[list[Run], list[list[str]], object],
) -> None:
    runs, effects, _ = killed
    begun = Counter(run_id for word, run_id, *_ in effects if word == "begin-once")
    assert begun
    assert set(begun.values()) == {1}
    states = Counter(run.state for run in runs if run.method == "at_most_once")
    assert states["lost"] > 0, "no kill hit a running job: the test proves nothing"


def test_at_least_once_ends_in_success(killed: tuple[list[Run], list[list[str]], object]) -> None:
    runs, effects, _ = killed
    ended = {run_id for word, run_id, *_ in effects if word == "end-again"}
    mine = [run for run in runs if run.method == "again" and not run.is_open]
    assert {run.state for run in mine} == {"succeeded"}
    assert {str(run.run_id) for run in mine} <= ended
    assert any(run.epoch > 1 for run in mine), "no kill hit a running job: the test proves nothing"


def test_no_two_lives_share_a_claim(killed: tuple[list[Run], list[list[str]], object]) -> None:
    _, effects, _ = killed
    claims = Counter((run_id, token) for word, run_id, _, token, _ in effects if "begin" in word)
    assert set(claims.values()) == {1}
    pids = {pid for *_, pid in effects}
    assert str(os.getpid()) not in pids


def test_the_row_has_the_claim_that_did_the_work(
    killed: tuple[list[Run], list[list[str]], object],
) -> None:
    runs, effects, _ = killed
    ends = {(run_id, int(token)) for word, run_id, _, token, _ in effects if word == "end-again"}
    for run in runs:
        if run.method == "again" and run.state == "succeeded":
            assert (str(run.run_id), run.epoch) in ends
