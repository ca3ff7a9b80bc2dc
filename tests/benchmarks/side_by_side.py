"""Ours beside the peers, in one run: `make bench PEERS=1`.

Every repetition runs each entry of each event once, in turn and in a fresh operating-system
process, so that the noise of a machine hits all alike; medians over the repetitions are compared.
A peer that is not installed is left out, and said so. Whatever the figures, the exit code is 0;
it is 1 when an entry of ours did not end well.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from tests.benchmarks.conditions import conditions
from tests.benchmarks.contest import EVENTS, OURS, Entry, Event
from tests.benchmarks.fresh import EntryFailed, measured, why_left_out
from tests.benchmarks.report import Report

Say = Callable[[str], None]


class SideBySide:
    """A run: its samples, and who was left out of it."""

    def __init__(
        self,
        events: Sequence[Event],
        *,
        measure: Callable[[Entry], float] = measured,
        why_not: Callable[[Entry], str | None] = why_left_out,
        say: Say = lambda line: None,
    ) -> None:
        self.samples: dict[tuple[str, str], list[float]] = {}
        self.left_out: dict[str, None] = {}
        self.ours_failed = False
        self._measure = measure
        self._say = say
        self._entered: list[tuple[Event, Entry]] = []
        for event in events:
            for entry in event.entries:
                self._admit(event, entry, why_not(entry))

    def repeat(self, repetitions: int) -> None:
        """Run all entries so many times over."""
        for repetition in range(repetitions):
            for event, entry in self._entered:
                if not (entry.once and repetition):
                    self._say(f"{repetition + 1}/{repetitions}  {event.name}: {entry.label}")
                    self._enter(event, entry)

    def _admit(self, event: Event, entry: Entry, why_not: str | None) -> None:
        if why_not is None:
            self._entered.append((event, entry))
        else:
            self._leave_out(f"{entry.peer}: {why_not}")

    def _enter(self, event: Event, entry: Entry) -> None:
        try:
            value = self._measure(entry)
        except EntryFailed as error:
            self.ours_failed |= entry.peer == OURS
            self._leave_out(f"{entry.label} from {event.name}: {error}")
        else:
            self.samples.setdefault((event.name, entry.label), []).append(value)

    def _leave_out(self, line: str) -> None:
        if line not in self.left_out:
            self.left_out[line] = None
            self._say(f"left out: {line}")


def main() -> int:
    """Run, print, and tell whether ours ended well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", nargs="*", help="words that the names of events start with")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--markdown", action="store_true", help="the tables of README.md")
    options = parser.parse_args()
    chosen = tuple(options.events) or ("",)
    events = [event for event in EVENTS if event.name.startswith(chosen)]
    run = SideBySide(events, say=lambda line: print(line, file=sys.stderr, flush=True))
    run.repeat(options.repetitions)
    report = Report(run.samples, tuple(run.left_out), conditions(options.repetitions), events)
    print(report.markdown() if options.markdown else report.text())
    return int(run.ours_failed)


if __name__ == "__main__":
    sys.exit(main())
