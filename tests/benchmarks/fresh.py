"""Each entry runs in a fresh operating-system process; and who cannot enter here, and why."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from tests.benchmarks.contest import ERLANG, OURS, PYKKA, THESPIAN, XOSCAR, Entry

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 300
BYTES_AN_ACTOR = 3_000

_MODULES = {
    OURS: "tests.benchmarks.messaging",
    PYKKA: "tests.benchmarks.peers.pykka_actors",
    XOSCAR: "tests.benchmarks.peers.xoscar_actors",
    THESPIAN: "tests.benchmarks.peers.thespian_actors",
}
_PACKAGES = {PYKKA: "pykka", XOSCAR: "xoscar", THESPIAN: "thespian"}


class EntryFailed(Exception):
    """A contestant ended with an error."""


def why_left_out(entry: Entry) -> str | None:
    """Why this entry cannot run here, or None if it can."""
    if entry.peer == ERLANG and not (which("erl") and which("erlc")):
        return "erl and erlc are not installed"
    package = _PACKAGES.get(entry.peer)
    if package is not None and find_spec(package) is None:
        return f"the package {package} is not installed"
    return _why_no_room(entry) if entry.figure.startswith("idle") else None


def _why_no_room(entry: Entry) -> str | None:
    free = _free()
    if free is None:
        return "memory is read from /proc, which this system has not"
    needed = entry.count * BYTES_AN_ACTOR
    if needed <= free:
        return None
    return f"{entry.count:,} actors may take {needed / 1e9:.1f} GB, more than is free"


def measured(entry: Entry) -> float:
    """Run an entry to its end. Raises `EntryFailed`."""
    try:
        ended = subprocess.run(
            _command(entry),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise EntryFailed(f"did not end in {SECONDS} s") from error
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    if ended.returncode or not lines:
        said = (ended.stderr or ended.stdout).strip().splitlines() or ["it said nothing"]
        raise EntryFailed(f"ended with {ended.returncode}: {said[-1]}")
    return float(json.loads(lines[-1])["value"])


def _command(entry: Entry) -> list[str]:
    if entry.peer == ERLANG:
        code = ("-noshell", "-noinput", "-pa", _compiled().name, "-run", "messaging", "main")
        return ["erl", *code, entry.figure, str(entry.count)]
    module = _MODULES[entry.peer]
    contestant = ("-m", "tests.benchmarks.contestant", module, entry.figure, str(entry.count))
    return [sys.executable, *contestant]


@cache
def _compiled() -> tempfile.TemporaryDirectory[str]:
    """A folder with the Erlang code, gone when this program ends."""
    folder = tempfile.TemporaryDirectory()
    source = ROOT / "tests" / "benchmarks" / "peers" / "messaging.erl"
    ended = subprocess.run(["erlc", "-o", folder.name, str(source)], capture_output=True, text=True)
    if ended.returncode:
        raise EntryFailed(f"erlc: {ended.stdout.strip()}")
    return folder


def _free() -> int | None:
    """Bytes of memory that are available (Linux)."""
    path = Path("/proc/meminfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None
