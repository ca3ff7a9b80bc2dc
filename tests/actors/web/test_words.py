"""What the page says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import attrs
import pytest
from apscheduler.abc import Trigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from schedule_zero.actors.store import Reason, Run, Schedule, State, new_run
from schedule_zero.actors.web import words
from schedule_zero.actors.web.overview import STATES
from schedule_zero.actors.web.words import REASONS, distance, run_note, span

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.0, "0 ms"),
        (0.0004, "0 ms"),
        (0.34, "340 ms"),
        (0.9996, "1.0 s"),
        (1.25, "1.2 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3605, "1 h 5 s"),
        (3725, "1 h 2 min"),
        (90_000, "1 d 1 h"),
        (-5, "-5.0 s"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "now"), (5, "in 5 s"), (-5, "5 s ago"), (90, "in 1 min 30 s"), (-7200, "2 h ago")],
)
def test_distances(seconds: float, text: str) -> None:
    assert distance(NOW + timedelta(seconds=seconds), NOW) == text


def test_every_reason_has_words() -> None:
    assert set(REASONS) == set(get_args(Reason))


def test_every_state_is_counted() -> None:
    kinds = get_args(State)
    states = {state for kind in kinds for state in (get_args(kind) or (kind,))}
    assert set(STATES) == states


def run(**changes: object) -> Run:
    return attrs.evolve(new_run(UUID(int=1), "echo", "say", {}, NOW), **changes)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({}, "waits for a free handler"),
        ({"due_at": NOW + timedelta(seconds=30)}, "due in 30 s"),
        ({"state": "skipped", "reason": "dst_gap"}, REASONS["dst_gap"]),
        ({"state": "failed", "error": "ValueError: no"}, "ValueError: no"),
        (
            {"error": "ValueError: no", "attempt": 2, "due_at": NOW + timedelta(seconds=4)},
            "ValueError: no (attempt 2; the next is due in 4 s)",
        ),
        ({"state": "lost"}, "its node was lost while it ran"),
        ({"state": "succeeded"}, ""),
    ],
)
def test_notes_on_runs(changes: dict[str, object], note: str) -> None:
    assert run_note(run(**changes), NOW) == note


@pytest.mark.parametrize(
    ("definition", "trigger", "text"),
    [
        ("every 3600 s", IntervalTrigger(hours=1), "every 1 h"),
        ("every 0.2 s", IntervalTrigger(seconds=0.2), "every 200 ms"),
        ("", IntervalTrigger(minutes=1, seconds=30), "every 1 min 30 s"),
        ("cron 0 3 * * * UTC", CronTrigger(hour=3), "cron 0 3 * * * UTC"),
        ("each other day", IntervalTrigger(days=2), "each other day"),
    ],
)
def test_triggers(definition: str, trigger: Trigger, text: str) -> None:
    schedule = Schedule(
        id="s", handler="echo", method="say", trigger=trigger, definition=definition
    )
    assert words.trigger(schedule) == text
