"""`schedule-zero cluster` and `keygen`: several nodes on this machine, and their keys."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.actors.app.nodes import COMMAND, run_cli


def free_ports(count: int) -> int:
    """The first of so many ports in a row on which nothing listens."""
    for first in range(20_000, 30_000, count):
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")


class Cluster:
    """A running cluster; reads what it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def wait_for(self, pattern: str) -> re.Match[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError(f"ended before it printed {pattern!r}")


@contextmanager
def running_cluster(count: int, folder: Path) -> Iterator[Cluster]:
    arguments = ["cluster", str(count), "--data", str(folder), "--port", str(free_ports(count))]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Cluster(process)
        finally:
            process.terminate()
            process.wait(60)


def test_a_cluster_restarts_a_node_that_dies_and_leaves_nothing(tmp_path: Path) -> None:
    pids: list[int] = []
    with running_cluster(2, tmp_path) as cluster:
        first = int(cluster.wait_for(r"n1  pid (\d+)  restarts 0 .* sees n2")[1])
        second = int(cluster.wait_for(r"n2  pid (\d+)  restarts 0 .* sees n1")[1])
        os.kill(second, signal.SIGKILL)
        cluster.wait_for(r"n1  pid \d+  restarts 0 .* sees nobody")
        again = int(cluster.wait_for(r"n2  pid (\d+)  restarts 1 .* sees n1")[1])
        pids = [first, second, again]
        cluster.process.terminate()
        assert cluster.process.wait(60) == 0
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


@pytest.mark.parametrize("count", ["0", "65", "many"])
def test_an_impossible_count_is_refused(count: str, tmp_path: Path) -> None:
    ran = run_cli("cluster", count, "--data", str(tmp_path / "v"), cwd=tmp_path)
    assert ran.returncode == 2
    assert len(ran.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "v").exists()


def test_keygen_makes_keys_that_only_their_owner_reads(tmp_path: Path) -> None:
    ran = run_cli("keygen", "edge-1", "--folder", "keys", cwd=tmp_path)
    assert ran.returncode == 0
    secret, public = tmp_path / "keys" / "edge-1.key", tmp_path / "keys" / "edge-1.pub"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert public.exists()
    assert secret.read_text() not in ran.stdout


def test_keygen_does_not_write_over_keys_unasked(tmp_path: Path) -> None:
    run_cli("keygen", "a", "--folder", "keys", cwd=tmp_path)
    before = (tmp_path / "keys" / "a.key").read_text()
    ran = run_cli("keygen", "a", "--folder", "keys", cwd=tmp_path)
    assert ran.returncode == 2
    assert "exists" in ran.stderr
    assert (tmp_path / "keys" / "a.key").read_text() == before
    assert run_cli("keygen", "a", "--folder", "keys", "--replace", cwd=tmp_path).returncode == 0
    assert (tmp_path / "keys" / "a.key").read_text() != before


def test_a_node_does_not_listen_beyond_this_machine_without_keys(tmp_path: Path) -> None:
    ran = run_cli("run", "--no-web", "--listen", "tcp://0.0.0.0:7999", cwd=tmp_path)
    assert ran.returncode == 2
    assert "schedule-zero keygen" in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
