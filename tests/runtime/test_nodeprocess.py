"""`NodeProcess`: another node in a process, under the rules of any child."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from schedule_zero.runtime import (
    Node,
    NodeFailed,
    NodeProcess,
    Restarted,
    StartFailed,
    WhichNode,
    child,
    node_program,
    supervisor,
)
from tests.runtime import served

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def is_alive(pid: int) -> bool:
    """Whether there is such a process that is more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_gone(pid: int) -> None:
    with trio.fail_after(20):
        while is_alive(pid):
            await trio.sleep(0.02)


def program(function: str, *args: str) -> list[str]:
    return node_program(f"{served.HERE}:{function}", *args)


async def test_a_node_in_a_process_runs_and_ends_with_its_parent() -> None:
    spec = child("b", NodeProcess, program("plain", "b"))
    async with Node("a", supervisor(spec)) as node:
        info = await node.ref("b").ask(WhichNode())
        assert info.name == "b"
        assert info.pid != os.getpid()
        assert is_alive(info.pid)
    assert not is_alive(info.pid)


async def test_a_process_that_dies_is_started_again() -> None:
    async with Node("a", supervisor(child("b", NodeProcess, program("plain", "b")))) as node:
        first = await node.ref("b").ask(WhichNode())
        restarted = trio.Event()
        failures: list[Restarted] = []

        def note(event: Restarted) -> None:
            failures.append(event)
            restarted.set()

        node.events.subscribe(note)
        os.kill(first.pid, signal.SIGKILL)
        with trio.fail_after(30):
            await restarted.wait()
            second = await node.ref("b").ask(WhichNode(), timeout=30)
        assert "killed by SIGKILL" in str(failures[0].failure)
        assert second.pid != first.pid
        assert second.incarnation > first.incarnation


async def test_a_process_that_dies_too_often_takes_its_supervisor_with_it() -> None:
    spec = supervisor(child("b", NodeProcess, program("dying", "b")), max_restarts=1)
    with pytest.raises(NodeFailed):
        async with Node("a", spec):
            with trio.fail_after(60):
                await trio.sleep_forever()


async def test_a_node_that_does_not_stop_is_killed_after_its_shutdown_time() -> None:
    spec = child("b", NodeProcess, program("stubborn", "b")).options(shutdown=0.3)
    async with Node("a", supervisor(spec)) as node:
        pid = (await node.ref("b").ask(WhichNode())).pid
    assert not is_alive(pid)


async def test_a_node_that_does_not_start_fails_the_start() -> None:
    with pytest.raises(StartFailed, match=r"before its node ran \(exit code 7\)"):
        async with Node("a", supervisor(child("b", NodeProcess, program("broken", "b")))):
            pass


async def test_a_program_that_says_nothing_fails_the_start_in_time() -> None:
    silent = [sys.executable, "-c", "import signal; signal.pause()"]
    spec = child("b", NodeProcess, silent, ready_within=0.3)
    with pytest.raises(StartFailed, match=r"did not run within 0.3 s"):
        async with Node("a", supervisor(spec)):
            pass


async def test_a_program_that_cannot_be_run_fails_the_start() -> None:
    with pytest.raises(StartFailed, match="cannot be run"):
        async with Node("a", supervisor(child("b", NodeProcess, ["/no/such/program"]))):
            pass


async def test_nothing_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    command = program("parent", "a", str(file))
    with subprocess.Popen(command) as parent:  # noqa: ASYNC220
        with trio.fail_after(30):
            while not said(file):
                await trio.sleep(0.02)
        below = int(said(file))
        parent.kill()
    await until_gone(below)


async def test_a_terminated_parent_stops_in_order(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    command = program("parent", "a", str(file))
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as parent:  # noqa: ASYNC220
        with trio.fail_after(30):
            while not said(file):
                await trio.sleep(0.02)
        below = int(said(file))
        parent.terminate()
        assert await trio.to_thread.run_sync(parent.wait) == 0
    assert not is_alive(below)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "expected module:function"),
        (["tests.runtime.served"], "expected module:function"),
        (["no.such:thing"], "No module named"),
        (["tests.runtime.served:nothing"], "no attribute"),
        (["tests.runtime.served:plain"], "missing 1 required"),
        (["os:getcwd"], "expected a Node"),
    ],
)
def test_a_wrong_target_is_one_line_and_exit_code_2(arguments: list[str], complaint: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "schedule_zero.runtime", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1


def said(file: Path) -> str:
    return file.read_text() if file.exists() else ""
