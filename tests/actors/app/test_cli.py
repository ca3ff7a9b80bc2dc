"""The command line: what is asked wrongly gets one line, exit code 2, and starts nothing."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from schedule_zero.actors.store import open_store
from tests.actors.app.nodes import NodeProcess, run_cli, running_node

JOBS = """
from schedule_zero.actors import Handler, every


class Greeter(Handler):
    @every(seconds=0.2)
    def greet(self, name: str = "world", times: int = 1) -> str:
        return " ".join([f"hello {name}"] * times)

    @every(seconds=0.2, retries=2, backoff=0.01)
    def stumble(self) -> int:
        if self.invocation.attempt == 1:
            raise ValueError("first step")
        return self.invocation.attempt
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jobs.py").write_text(JOBS)
    return tmp_path


@pytest.fixture
def node(folder: Path) -> Iterator[NodeProcess]:
    with running_node("jobs", "--port", "0", cwd=folder) as node:
        yield node


def refusal(ran: subprocess.CompletedProcess[str]) -> str:
    """The one line of an error."""
    assert ran.returncode == 2, ran
    assert "Traceback" not in ran.stdout + ran.stderr
    lines = ran.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert ran.stdout == ""
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "jobs", "--prot", "1"), "--prot"),
        (("run", "jobs", "--port", "many"), "port"),
        (("run", "jobs", "--port", "70000"), "0 to 65535"),
        (("runn",), "runn"),
        (("call", "greeter", "greet", "name"), "name=value"),
        (("run", "no_such_module", "--port", "0"), "no_such_module"),
    ],
)
def test_a_wrong_argument_is_refused(
    folder: Path, arguments: tuple[str, ...], expected: str
) -> None:
    assert expected in refusal(run_cli(*arguments, cwd=folder))
    assert not (folder / "var").exists()


def test_a_handler_module_that_does_not_import_names_file_and_line(folder: Path) -> None:
    (folder / "broken.py").write_text("import os\nimport not_there_at_all\n")
    line = refusal(run_cli("run", "broken", "--port", "0", cwd=folder))
    assert "not_there_at_all" in line
    assert "broken.py:2" in line


def test_a_port_that_is_taken_is_refused(folder: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        line = refusal(run_cli("run", "jobs", "--port", port, cwd=folder))
    assert port in line
    assert "--port" in line


def test_a_database_of_a_newer_version_is_refused_and_left_alone(folder: Path) -> None:
    path = folder / "ledger.db"
    open_store(str(path)).close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE schedule_zero_schema SET version = 99")
    line = refusal(run_cli("run", "jobs", "--database", str(path), "--port", "0", cwd=folder))
    assert "99" in line


def test_a_database_that_is_locked_is_refused(folder: Path) -> None:
    path = folder / "ledger.db"
    open_store(str(path)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        line = refusal(run_cli("run", "jobs", "--database", str(path), "--port", "0", cwd=folder))
    assert "locked" in line


def test_a_data_folder_that_cannot_be_made_is_refused(folder: Path) -> None:
    (folder / "file").write_text("")
    line = refusal(run_cli("run", "jobs", "--data", "file/var", "--port", "0", cwd=folder))
    assert "file/var" in line


def test_a_database_that_is_none_is_refused(folder: Path) -> None:
    (folder / "ledger.db").write_bytes(b"no database at all, but long enough to be read" * 100)
    line = refusal(run_cli("run", "jobs", "--database", "ledger.db", "--port", "0", cwd=folder))
    assert "ledger.db" in line


def test_a_second_node_of_the_same_name_is_refused(folder: Path, node: NodeProcess) -> None:
    assert node.process.poll() is None
    line = refusal(run_cli("run", "jobs", "--port", "0", cwd=folder))
    assert "'node'" in line


def test_without_a_node_commands_say_so(folder: Path) -> None:
    ran = run_cli("status", cwd=folder)
    assert ran.returncode == 3
    assert "schedule-zero run" in ran.stderr


def test_ctrl_c_stops_with_exit_code_0_and_leaves_nothing(folder: Path, node: NodeProcess) -> None:
    assert (folder / "var" / "node.json").stat().st_mode & 0o777 == 0o600
    assert node.interrupt() == 0
    assert not (folder / "var" / "node.json").exists()
    log = (folder / "node.log").read_text()
    assert log.count("Traceback") == log.count("\nValueError: first step")


def test_the_node_serves_its_page_and_its_commands(folder: Path, node: NodeProcess) -> None:
    url = node.announced.split()[-1]
    with urllib.request.urlopen(url.split("?")[0] + "api/health") as reply:
        assert json.load(reply)["status"] == "ok"

    called = run_cli("call", "greeter", "greet", "name=Ada", "times=2", cwd=folder)
    assert (called.returncode, json.loads(called.stdout)) == (0, "hello Ada hello Ada")

    listed = json.loads(run_cli("schedules", "list", "--json", cwd=folder).stdout)
    assert {item["id"] for item in listed["schedules"]} == {"greeter.greet", "greeter.stumble"}

    found = json.loads(run_cli("status", "--json", cwd=folder).stdout)
    assert "handlers/greeter" in {actor["path"] for actor in found["tree"]}
    assert os.path.basename(found["owner"]) == "node@1"


def test_a_call_that_is_wrong_names_what_is_expected(folder: Path, node: NodeProcess) -> None:
    assert node.process.poll() is None
    unknown = run_cli("call", "greter", "greet", cwd=folder)
    assert unknown.returncode == 1
    assert "greeter" in unknown.stderr
    wrong = run_cli("call", "greeter", "greet", 'times="two"', cwd=folder)
    assert wrong.returncode == 1
    assert "times" in wrong.stdout + wrong.stderr


def test_a_handler_that_raises_is_restarted_and_its_run_retried(
    folder: Path, node: NodeProcess
) -> None:
    assert node.process.poll() is None
    for _ in range(40):
        ran = run_cli("runs", "--schedule", "greeter.stumble", "--json", cwd=folder)
        runs = json.loads(ran.stdout)["runs"]
        done = [run for run in runs if run["state"] == "succeeded"]
        if done:
            break
    assert done[0]["attempt"] == 2
    assert done[0]["result"] == 2
    tree = json.loads(run_cli("status", "--json", cwd=folder).stdout)["tree"]
    greeter = next(actor for actor in tree if actor["path"] == "handlers/greeter")
    assert greeter["restarts"] >= 1
