"""`schedule-zero schedules`: the schedules of a running node."""

from __future__ import annotations

from schedule_zero.actors.app.cli.client import Target
from schedule_zero.actors.app.cli.output import show_json, show_table


def list_schedules(*, target: Target | None = None, json: bool = False) -> None:
    """List the schedules with their next fires.

    Parameters
    ----------
    json
        Print JSON.
    """
    found = (target or Target()).get("/api/schedules")
    if json:
        show_json(found)
        return
    rows = [
        (item["id"], item["trigger"], item["next_fire_time"] or "-", _state(item))
        for item in found["schedules"]
    ]
    show_table(
        ("schedule", "trigger", "next fire", "state"),
        rows,
        "no schedules: mark a handler's method with @every or @cron",
    )


def _state(item: dict[str, object]) -> str:
    if item["quarantined"]:
        return f"quarantined: {item['quarantined']}"
    return "paused" if item["paused"] else "active"
