"""`schedule-zero status`: what a running node is doing."""

from __future__ import annotations

from schedule_zero.actors.app.cli.client import Target
from schedule_zero.actors.app.cli.output import show_json, show_table


def status(*, target: Target | None = None, json: bool = False) -> None:
    """Show a running node: its tree of actors, its runs by state, its dead letters.

    Parameters
    ----------
    json
        Print JSON.
    """
    found = (target or Target()).get("/api/status")
    if json:
        show_json(found)
        return
    runs = ", ".join(f"{count} {state}" for state, count in found["runs"].items()) or "none yet"
    dead = ", ".join(f"{count} {reason}" for reason, count in found["dead_letters"].items())
    print(f"node {found['node']} ({found['owner']}), up {found['uptime']:.0f} s")
    print(f"runs: {runs}")
    print(f"dead letters: {dead or 'none'}")
    rows = [
        (actor["path"], actor["class"], actor["state"], actor["mailbox"], actor["handled"])
        for actor in found["tree"]
    ]
    show_table(("actor", "class", "state", "mailbox", "handled"), rows, "no actors")
