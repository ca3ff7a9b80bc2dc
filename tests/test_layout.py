"""What is built is what stands in the folders, and it installs."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PORTIONS = ("transports", "runtime", "actors")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel made from it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return folder


def wheel_of(built: Path) -> Path:
    (wheel,) = built.glob("*.whl")
    return wheel


def test_the_wheel_holds_the_three_folders_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(wheel_of(built)) as wheel:
        found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = {
        f"schedule_zero/{path.relative_to(ROOT).as_posix()}"
        for portion in PORTIONS
        for path in (ROOT / portion).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert found == expected
    for portion in PORTIONS:
        assert f"schedule_zero/{portion}/py.typed" in found


def test_the_sdist_holds_tests_docs_and_examples(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert {"runtime", "actors", "transports", "examples", "tests", "docs", "Makefile"} <= tops
    assert ".editable" not in tops


def test_the_wheel_installs_into_an_empty_environment_and_runs(built: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    bin_folder = tmp_path / "env" / "bin"
    install = [str(bin_folder / "pip"), "install", "--quiet", f"{wheel_of(built)}[web]"]
    subprocess.run(install, check=True, capture_output=True, cwd=tmp_path)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for command in (
        [str(bin_folder / "schedule-zero"), "--help"],
        [str(bin_folder / "python"), "-c", f"import {', '.join(map(imported, PORTIONS))}"],
    ):
        ran = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
        )
        assert ran.returncode == 0, ran.stderr


def imported(portion: str) -> str:
    return f"schedule_zero.{portion}"
