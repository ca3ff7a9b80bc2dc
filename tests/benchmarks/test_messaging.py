"""Our own contestants do what their figures say; how fast is nobody's business here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.contest import COMPARISONS, EVENTS, OURS, Entry
from tests.benchmarks.fresh import EntryFailed, measured
from tests.benchmarks.messaging import FIGURES

RATES = [name for name in FIGURES if not name.startswith("idle")]
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="memory is read from /proc"
)


@pytest.mark.parametrize("figure", RATES)
def test_each_rate_is_produced(figure: str) -> None:
    assert FIGURES[figure](20) > 0


@needs_proc
@pytest.mark.parametrize("figure", ["idle", "idle, told"])
def test_the_memory_of_idle_actors_is_produced(figure: str) -> None:
    assert FIGURES[figure](20) < 100


def test_what_we_enter_for_is_there() -> None:
    entered = {entry.figure for event in EVENTS for entry in event.entries if entry.peer == OURS}
    assert entered == set(FIGURES)


def test_what_is_compared_is_entered() -> None:
    entered = {(event.name, entry.label) for event in EVENTS for entry in event.entries}
    assert {(comparison.event, comparison.label) for comparison in COMPARISONS} <= entered


def test_an_entry_runs_in_a_process_of_its_own() -> None:
    assert measured(Entry(OURS, "ring", 20)) > 0


def test_a_contestant_that_ends_with_an_error_is_told_with_what_it_said() -> None:
    with pytest.raises(EntryFailed, match="ended with 1: KeyError: 'no such figure'"):
        measured(Entry(OURS, "no such figure", 20))
