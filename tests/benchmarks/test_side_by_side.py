"""The arithmetic of a run, whom it leaves out, and in which order it goes."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks.contest import ERLANG, OURS, PYKKA, THESPIAN, Comparison, Entry, Event
from tests.benchmarks.fresh import EntryFailed
from tests.benchmarks.ratios import Outcome, Samples, outcomes
from tests.benchmarks.report import Report
from tests.benchmarks.side_by_side import SideBySide

RING = Event(
    "ring",
    "hops/s",
    (
        Entry(OURS, "ring", 10),
        Entry(PYKKA, "ring", 10),
        Entry(THESPIAN, "ring", 10),
        Entry(THESPIAN, "calls", 10, "calls", beside=True),
        Entry(ERLANG, "ring", 10),
    ),
)
MEMORY = Event("idle", "MB", (Entry(OURS, "idle", 10, once=True), Entry(ERLANG, "idle", 10)))
SAMPLES: Samples = {
    ("ring", "ours"): [1_000, 9_000, 2_000],
    ("ring", "Pykka"): [100, 100, 100],
    ("ring", "Thespian"): [400, 400, 10],
    ("ring", "Thespian, calls"): [1_900, 1_900, 1_900],
    ("ring", "Erlang"): [6_000, 6_000, 6_000],
    ("idle", "ours"): [100],
    ("idle", "Erlang"): [200],
}


def outcome(comparison: Comparison, samples: Samples = SAMPLES) -> Outcome:
    """The one outcome of the one comparison."""
    (drawn,) = outcomes([RING, MEMORY], [comparison], samples)
    return drawn


def without(*labels: str) -> Samples:
    """The samples of a run that left these out."""
    return {key: values for key, values in SAMPLES.items() if key[1] not in labels}


def test_medians_are_compared_with_the_best_peer_that_plays_by_the_rules() -> None:
    drawn = outcome(Comparison("ring", "ours", (PYKKA, THESPIAN), at_least=5))
    assert (drawn.value, drawn.beside, drawn.verdict) == (5, "Thespian", "met")


def test_a_ratio_below_its_target_is_missed() -> None:
    assert outcome(Comparison("ring", "ours", (ERLANG,), at_least=0.34)).verdict == "missed"


def test_a_ratio_without_a_target_has_no_verdict() -> None:
    assert outcome(Comparison("ring", "ours", (ERLANG,))).verdict == ""


def test_the_best_of_the_peers_that_are_here_counts() -> None:
    drawn = outcome(Comparison("ring", "ours", (PYKKA, THESPIAN)), without("Thespian"))
    assert (drawn.value, drawn.beside) == (20, "Pykka")


@pytest.mark.parametrize("missing", [("Pykka", "Thespian"), ("ours",)])
def test_without_either_side_nothing_is_met_or_missed(missing: tuple[str, ...]) -> None:
    drawn = outcome(Comparison("ring", "ours", (PYKKA, THESPIAN), at_least=5), without(*missing))
    assert (drawn.value, drawn.verdict) == (None, "not measured")


def test_a_figure_of_our_own_has_a_target_of_its_own() -> None:
    assert outcome(Comparison("ring", "ours", at_least=2_000)).verdict == "met"
    assert outcome(Comparison("ring", "ours", at_least=2_001)).verdict == "missed"


def test_of_memory_less_is_better() -> None:
    assert outcome(Comparison("idle", "ours", (ERLANG,))).value == 0.5
    assert outcome(Comparison("idle", "ours", at_most=150)).verdict == "met"
    assert outcome(Comparison("idle", "ours", at_most=100)).verdict == "missed"


def test_the_entries_of_a_repetition_run_in_turn() -> None:
    order: list[str] = []

    def measure(entry: Entry) -> float:
        order.append(f"{entry.figure} {entry.label}")
        return 1.0

    run = SideBySide([MEMORY, RING], measure=measure, why_not=lambda entry: None)
    run.repeat(2)
    rest = ["idle Erlang", "ring ours", "ring Pykka", "ring Thespian", "calls Thespian, calls"]
    assert order == ["idle ours", *rest, "ring Erlang", *rest, "ring Erlang"]
    assert run.samples["ring", "ours"] == [1.0, 1.0]


def test_a_peer_that_is_not_installed_is_left_out_by_name() -> None:
    def why_not(entry: Entry) -> str | None:
        return "not installed" if entry.peer == THESPIAN else None

    run = SideBySide([RING], measure=lambda entry: 1.0, why_not=why_not)
    run.repeat(1)
    assert list(run.left_out) == ["Thespian: not installed"]
    assert ("ring", "Thespian") not in run.samples
    assert "left out: Thespian: not installed" in Report(run.samples, tuple(run.left_out)).text()


@pytest.mark.parametrize(("broken", "is_ours"), [(OURS, True), (PYKKA, False)])
def test_who_fails_is_named_and_the_others_go_on(broken: str, is_ours: bool) -> None:
    def measure(entry: Entry) -> float:
        if entry.peer == broken:
            raise EntryFailed("ended with 1: oh")
        return 1.0

    run = SideBySide([RING], measure=measure, why_not=lambda entry: None)
    run.repeat(1)
    assert list(run.left_out) == [f"{broken} from ring: ended with 1: oh"]
    assert run.ours_failed is is_ours
    assert run.samples["ring", "Erlang"] == [1.0]


def test_a_report_has_a_line_of_json_for_each_figure_and_each_ratio() -> None:
    samples = {("ring of 100", "ours, def"): [900.0, 800.5], ("ring of 100", "Erlang"): [2_000.0]}
    lines = [json.loads(line) for line in Report(samples).json_lines()]
    unit = {"event": "ring of 100", "unit": "hops/s"}
    assert lines[0] == unit | {"contestant": "ours, def", "value": 850.25}
    assert {
        "event": "ring of 100",
        "ours": "ours, def",
        "beside": "Erlang",
        "ratio": 0.425,
        "target": "at least 1/3",
        "verdict": "met",
    } in lines


def test_the_markdown_has_both_tables() -> None:
    table = Report({("100,000 idle actors", "ours"): [80.0]}).markdown()
    row = "| 100,000 idle actors | ours | 80 | 80 | 80 | MB, 800 bytes each | 1 |"
    assert row in table.splitlines()
    assert "| 100,000 idle actors | ours |  | 80 | below 150 MB | met |" in table.splitlines()
