"""Reads and runs the scripts in `tests/scripts/restarts`.

A script is a spec, then events, each followed by the effects that it must have, indented::

    spec one_for_all max_restarts=2 within=5
    children a b:transient c:temporary

    at 1: a fails; b does not start
        forget c
        stop b
        start a
        start b
    at 1: try b again
        escalate b

Events: `X fails`, `X ends`, `try X again`, `due X`. Each `start` succeeds but the one named after
`;`, which ends its list. No effect at all is written `nothing`. `#` begins a comment.
"""

from __future__ import annotations

from pathlib import Path

from schedule_zero.runtime import Actor, Backoff, SupervisorSpec, child
from schedule_zero.runtime.restarts import Effect, Escalate, Forget, Restarts, Start, Stop, Wait

SCRIPTS = Path(__file__).parents[1] / "scripts" / "restarts"
_VERBS = {Start: "start", Stop: "stop", Forget: "forget", Escalate: "escalate"}


def run_script(text: str) -> tuple[list[str], list[str]]:
    """What the script expects and what the core does, both as lines of a script."""
    lines = [line.split("#")[0].rstrip() for line in text.splitlines()]
    expected = [line for line in lines if line]
    core = _core(expected[0], expected[1])
    actual = expected[:2]
    for name in core.children:
        core.started(name)
    for event in (line for line in expected[2:] if not line.startswith(" ")):
        actual.append(event)
        instant, _, what = event.removeprefix("at ").partition(": ")
        happening, _, failing = what.partition("; ")
        effects = _happen(core, happening, float(instant))
        actual += [f"    {_line(effect)}" for effect in effects] or ["    nothing"]
        _carry_out(core, effects, failing.removesuffix(" does not start"), float(instant))
        core.check()
    return expected, actual


def _core(spec: str, children: str) -> Restarts:
    _, strategy, *options = spec.split()
    given = {key: float(value) for key, value in (option.split("=") for option in options)}
    backoff = {key: given.pop(key) for key in ("initial", "factor", "maximum") if key in given}
    pairs = [(*word.split(":"), "permanent")[:2] for word in children.split()[1:]]
    specs = tuple(child(name, Actor).options(restart=restart) for name, restart in pairs)  # type: ignore[arg-type]
    wait = Backoff(**backoff) if backoff else None
    return Restarts(SupervisorSpec(specs, strategy, **given, backoff=wait))  # type: ignore[arg-type]


def _happen(core: Restarts, event: str, now: float) -> list[Effect]:
    match event.split():
        case [name, "fails"]:
            return core.exited(name, True, now)
        case [name, "ends"]:
            return core.exited(name, False, now)
        case ["try", name, "again"]:
            return core.try_again(name, now)
        case ["due", name]:
            return core.due(name, now)
    raise ValueError(f"no such event: {event!r}")


def _carry_out(core: Restarts, effects: list[Effect], failing: str, now: float) -> None:
    for effect in effects:
        if isinstance(effect, Start) and effect.name == failing:
            core.start_failed(effect.name, now)
            return
        if isinstance(effect, Start):
            core.started(effect.name)


def _line(effect: Effect) -> str:
    if isinstance(effect, Wait):
        return f"wait {effect.name} {effect.delay:g}"
    return f"{_VERBS[type(effect)]} {effect.name}"
