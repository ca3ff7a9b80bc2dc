"""`schedule-zero runs`: the ledger's newest runs."""

from __future__ import annotations

from schedule_zero.actors.app.cli.client import Target
from schedule_zero.actors.app.cli.output import show_json, show_table


def runs(
    *,
    schedule: str | None = None,
    handler: str | None = None,
    state: str | None = None,
    limit: int = 20,
    target: Target | None = None,
    json: bool = False,
) -> None:
    """List the newest runs, with how they ended and why some did not run.

    Parameters
    ----------
    schedule
        Only the runs of this schedule.
    handler
        Only the runs of this handler.
    state
        Only runs in this state, such as failed.
    limit
        How many, at most 1000.
    json
        Print JSON.
    """
    found = (target or Target()).get(
        "/api/runs", schedule_id=schedule, handler=handler, state=state, limit=limit
    )
    if json:
        show_json(found)
        return
    rows = [
        (
            item["fire_time"],
            f"{item['handler']}.{item['method']}",
            item["state"],
            item["attempt"],
            item["reason"] or item["error"] or "",
        )
        for item in found["runs"]
    ]
    show_table(("fire", "method", "state", "attempt", "why"), rows, "no runs yet")
