"""What a run prints: two tables, as text or as markdown, and a line of JSON for each row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from attrs import frozen

from tests.benchmarks.contest import COMPARISONS, EVENTS, Entry, Event
from tests.benchmarks.ratios import Outcome, Samples, medians, outcomes

Row = tuple[str, ...]
FIGURES_HEAD: Row = ("event", "contestant", "median", "lowest", "highest", "unit", "runs")
RATIOS_HEAD: Row = ("event", "ours", "beside", "value", "target", "verdict")


@frozen
class Report:
    """The samples of a run, who was left out and why, and under which conditions it was made."""

    samples: Samples
    left_out: Sequence[str] = ()
    conditions: str = ""
    events: Sequence[Event] = EVENTS

    def text(self) -> str:
        """For a terminal: the tables in columns, then the JSON."""
        parts = [_columns(FIGURES_HEAD, self._figures()), _columns(RATIOS_HEAD, self._ratios())]
        parts += [f"left out: {line}" for line in self.left_out]
        return "\n\n".join([*parts, self.conditions, "\n".join(self.json_lines())])

    def markdown(self) -> str:
        """For README.md."""
        tables = (_markdown(FIGURES_HEAD, self._figures()), _markdown(RATIOS_HEAD, self._ratios()))
        parts = [self.conditions, *tables] if self.conditions else tables
        return "\n\n".join([*parts, *(f"Left out: {line}." for line in self.left_out)])

    def json_lines(self) -> Iterator[str]:
        """One for each figure and each ratio."""
        found = medians(self.samples)
        for event, entry in self._entered():
            key = (event.name, entry.label)
            value = found[key]
            names = {"event": event.name, "contestant": entry.label}
            yield json.dumps(names | {"value": _rounded(value), "unit": event.unit})
        for drawn in self._outcomes():
            yield json.dumps(_as_dict(drawn))

    def _entered(self) -> Iterator[tuple[Event, Entry]]:
        for event in self.events:
            for entry in event.entries:
                if self.samples.get((event.name, entry.label)):
                    yield event, entry

    def _outcomes(self) -> list[Outcome]:
        return outcomes(self.events, COMPARISONS, self.samples)

    def _figures(self) -> list[Row]:
        found = medians(self.samples)
        rows: list[Row] = []
        for event, entry in self._entered():
            values = self.samples[event.name, entry.label]
            value = found[event.name, entry.label]
            each = f", {value * 1e6 / entry.count:,.0f} bytes each" if event.is_memory else ""
            numbers = (_number(value), _number(min(values)), _number(max(values)))
            rows.append((event.name, entry.label, *numbers, event.unit + each, str(len(values))))
        return rows

    def _ratios(self) -> list[Row]:
        return [
            (
                drawn.comparison.event,
                drawn.comparison.label,
                drawn.beside or " or ".join(drawn.comparison.against),
                "" if drawn.value is None else _number(drawn.value),
                drawn.comparison.target,
                drawn.verdict,
            )
            for drawn in self._outcomes()
        ]


def _as_dict(drawn: Outcome) -> dict[str, object]:
    comparison, value = drawn.comparison, drawn.value
    line: dict[str, object] = {"event": comparison.event, "ours": comparison.label}
    if comparison.against:
        line["beside"] = drawn.beside or list(comparison.against)
    line["ratio" if comparison.against else "value"] = None if value is None else _rounded(value)
    if comparison.target:
        line |= {"target": comparison.target, "verdict": drawn.verdict}
    return line


def _rounded(value: float) -> float:
    return round(value, 3) if value < 1_000 else round(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _columns(head: Row, rows: Sequence[Row]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in [head, *rows])
    return "\n".join(lines)


def _markdown(head: Row, rows: Sequence[Row]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)
