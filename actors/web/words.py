"""What the page says, in plain words. Pure."""

from __future__ import annotations

import re
from datetime import datetime

from apscheduler.triggers.interval import IntervalTrigger

from schedule_zero.actors.store.run import Run
from schedule_zero.actors.store.schedule import Schedule
from schedule_zero.actors.web.views import plain, trigger_text

REASONS = {
    "overlap": "skipped: the run before it was still in progress",
    "catch_up": "skipped: a later fire was due by then, and only the latest runs",
    "misfire": "missed: it could not start in time",
    "paused": "skipped: the schedule was paused",
    "no_handler": "skipped: no handler of this name was there in time",
    "quarantined": "skipped: the schedule is quarantined",
    "fenced": "given up: another node had taken it over",
    "rate_limited": "skipped: too many runs at once",
    "dst_gap": "skipped: this time of day did not exist on that day",
}

_EVERY = re.compile(r"every ([\d.]+) s")
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def span(seconds: float | None) -> str:
    """A duration in one or two units, such as `1 h 5 min`, `12 s`, `340 ms`."""
    if seconds is None:
        return ""
    if seconds < 0:
        return f"-{span(-seconds)}"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    parts = []
    for unit, size in _UNITS:
        if whole >= size:
            parts.append(f"{whole // size} {unit}")
            whole %= size
    if whole or not parts:
        parts.append(f"{whole} s")
    return " ".join(parts[:2])


def _plain_span(seconds: float) -> str:
    return span(seconds).replace(".0 s", " s")


def utc(instant: datetime) -> str:
    """An instant to the second."""
    return instant.strftime("%Y-%m-%d %H:%M:%S")


def distance(instant: datetime, now: datetime) -> str:
    """How far an instant is from now, such as `in 5 s`, `3 min ago`; whole seconds."""
    seconds = round((instant - now).total_seconds())
    if seconds == 0:
        return "now"
    size = _plain_span(abs(seconds))
    return f"in {size}" if seconds > 0 else f"{size} ago"


def trigger(schedule: Schedule) -> str:
    """When a schedule fires; an interval in the units that people use."""
    found = _EVERY.fullmatch(schedule.definition)
    if found:
        return f"every {_plain_span(float(found[1]))}"
    if isinstance(schedule.trigger, IntervalTrigger) and not schedule.definition:
        each = schedule.trigger
        days = each.weeks * 7 + each.days
        seconds = days * 86_400 + each.hours * 3_600 + each.minutes * 60 + each.seconds
        return f"every {_plain_span(seconds + each.microseconds / 1e6)}"
    return text(trigger_text(schedule))


def schedule_state(schedule: Schedule) -> str:
    """One word for a schedule's state."""
    if schedule.quarantined is not None:
        return "quarantined"
    if schedule.paused:
        return "paused"
    return "active" if schedule.next_fire_at is not None else "finished"


def schedule_note(schedule: Schedule) -> str:
    """Why a schedule does not fire, if it does not."""
    if schedule.quarantined is not None:
        return f"its trigger failed: {text(schedule.quarantined)}"
    if schedule.paused:
        return text(schedule.note or "")
    return "" if schedule.next_fire_at is not None else "it has no more fires"


def run_note(run: Run, now: datetime) -> str:
    """Why a run did not run or how it failed; or what it waits for."""
    if run.reason is not None:
        return REASONS.get(run.reason, run.reason)
    if run.error is not None:
        again = f" (attempt {run.attempt}; the next is due {distance(run.due_at, now)})"
        return text(run.error) + (again if run.state == "planned" else "")
    if run.state == "planned":
        is_due = run.due_at <= now
        return "waits for a free handler" if is_due else f"due {distance(run.due_at, now)}"
    return "its node was lost while it ran" if run.state == "lost" else ""


def text(value: str) -> str:
    """Text that can be sent: one that holds half of a character pair cannot."""
    return str(plain(value))
