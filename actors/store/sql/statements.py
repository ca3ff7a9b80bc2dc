"""The SQL of the `runs` table, in SQLite's words.

Without statistics SQLite may take an index that holds the whole history, so the small partial ones
are named.
"""

from __future__ import annotations

from schedule_zero.actors.store.schema import HAS_ENDED, HAS_RUN
from schedule_zero.actors.store.sql.rows import CHANGING, COLUMNS

_RUN = ", ".join(COLUMNS)

INSERT = f"""
    INSERT INTO runs ({_RUN}, late_after) VALUES ({", ".join("?" * (len(COLUMNS) + 1))})
    ON CONFLICT (run_id) DO NOTHING
"""

SWAP = f"""
    UPDATE runs SET {", ".join(f"{name} = ?" for name in CHANGING)}
    WHERE run_id = ? AND state = ? AND epoch = ?
"""

SELECT = f"SELECT {_RUN} FROM runs"

CANDIDATES = f"""
    SELECT {_RUN} FROM runs INDEXED BY runs_due
    WHERE state = 'planned' AND handler = ? AND due_at <= ?
    AND NOT (overlap = 'buffer_all' AND attempt = 0 AND (
        EXISTS (
            SELECT 1 FROM runs AS busy INDEXED BY runs_busy
            WHERE busy.schedule_id = runs.schedule_id
            AND busy.attempt > 0 AND busy.finished_at IS NULL
        ) OR EXISTS (
            SELECT 1 FROM runs AS ahead INDEXED BY runs_queued
            WHERE ahead.schedule_id = runs.schedule_id AND ahead.handler = runs.handler
            AND ahead.state = 'planned' AND ahead.overlap = 'buffer_all' AND ahead.attempt = 0
            AND (ahead.due_at, ahead.seq) < (runs.due_at, runs.seq)
        )
    ))
    ORDER BY priority DESC, due_at, seq LIMIT ? OFFSET ?
"""

BUSY_AMONG = """
    SELECT DISTINCT schedule_id FROM runs INDEXED BY runs_busy
    WHERE attempt > 0 AND finished_at IS NULL AND schedule_id IN
"""

WAS_RUNNING = f"""
    SELECT 1 FROM runs INDEXED BY runs_ran
    WHERE {HAS_RUN} AND schedule_id = ? AND started_at <= ? AND finished_at > ? LIMIT 1
"""

LEASED = f"SELECT {_RUN} FROM runs INDEXED BY runs_leased WHERE lease_until IS NOT NULL"

EXPIRED = f"{LEASED} AND lease_until <= ? ORDER BY lease_until, seq LIMIT ?"

TOO_LATE = f"""
    SELECT {_RUN} FROM runs INDEXED BY runs_late
    WHERE state = 'planned' AND late_after < ? ORDER BY late_after, seq LIMIT ?
"""

DROP_FUTURE = """
    DELETE FROM runs WHERE schedule_id = ? AND state = 'planned' AND attempt = 0 AND fire_time > ?
"""

NEXT_DUE_AMONG = """
    SELECT MIN(due_at) FROM runs INDEXED BY runs_due WHERE state = 'planned' AND handler IN
"""

COUNT = f"""
    SELECT state, COUNT(*) FROM runs INDEXED BY runs_ended WHERE {HAS_ENDED} GROUP BY state
    UNION ALL SELECT 'planned', COUNT(*) FROM runs WHERE state = 'planned'
    UNION ALL SELECT state, COUNT(*) FROM runs WHERE lease_until IS NOT NULL GROUP BY state
"""

NEW_LIFE = """
    INSERT INTO nodes (name, incarnation) VALUES (?, 1)
    ON CONFLICT (name) DO UPDATE SET incarnation = incarnation + 1 RETURNING incarnation
"""

IS_BEFORE = "(fire_time, seq) < (SELECT fire_time, seq FROM runs WHERE run_id = ?)"

NEWEST_FIRST = "ORDER BY fire_time DESC, seq DESC LIMIT ?"

BY_STATE = {
    "planned": "lease_until IS NULL",
    "claimed": "lease_until IS NOT NULL",
    "running": "lease_until IS NOT NULL",
}
"""What else is true of rows in a state, so that the database sees which index will do."""


def among(values: int) -> str:
    """So many placeholders in brackets."""
    return f"({', '.join('?' * values)})"
