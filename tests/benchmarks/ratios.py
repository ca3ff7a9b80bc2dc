"""Medians, ratios and whether a target is met: arithmetic on the samples of a run, no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from attrs import frozen

from tests.benchmarks.contest import Comparison, Entry, Event

Samples = Mapping[tuple[str, str], Sequence[float]]
"""What was measured, by the name of the event and the label of the entry."""


@frozen
class Outcome:
    """A comparison, drawn: its value, None where it cannot be drawn, and the peer it is to."""

    comparison: Comparison
    value: float | None
    beside: str = ""

    @property
    def verdict(self) -> str:
        """`met`, `missed`, `not measured`, or nothing where there is no target."""
        if self.value is None:
            return "not measured"
        met = self.comparison.is_met(self.value)
        return "" if met is None else "met" if met else "missed"


def medians(samples: Samples) -> dict[tuple[str, str], float]:
    """The median of each entry that was measured."""
    return {key: median(values) for key, values in samples.items() if values}


def outcomes(
    events: Iterable[Event], comparisons: Iterable[Comparison], samples: Samples
) -> list[Outcome]:
    """What is compared in these events. Of several peers, the best that was measured counts."""
    found, by_name = medians(samples), {event.name: event for event in events}
    return [
        _outcome(by_name[each.event], each, found) for each in comparisons if each.event in by_name
    ]


def _outcome(
    event: Event, comparison: Comparison, found: Mapping[tuple[str, str], float]
) -> Outcome:
    ours = found.get((event.name, comparison.label))
    if ours is None or not comparison.against:
        return Outcome(comparison, ours)
    rivals = {
        entry.label: found[event.name, entry.label]
        for entry in event.entries
        if _is_rival(entry, comparison) and (event.name, entry.label) in found
    }
    if not rivals:
        return Outcome(comparison, None)
    best = (min if event.is_memory else max)(rivals, key=rivals.__getitem__)
    return Outcome(comparison, ours / rivals[best], best)


def _is_rival(entry: Entry, comparison: Comparison) -> bool:
    return entry.peer in comparison.against and not entry.beside
