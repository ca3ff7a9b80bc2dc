"""What is built is what stands in the folders, and it installs."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PORTIONS = ("transports", "runtime", "actors")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel made from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture
def wheel(built: Path) -> Path:
    """The wheel."""
    (wheel,) = built.glob("*.whl")
    return wheel


def test_the_wheel_holds_the_three_folders_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == {f"schedule_zero/{path}" for folder in PORTIONS for path in files_of(folder)}


@pytest.mark.parametrize("portion", PORTIONS)
def test_each_portion_says_that_it_is_typed(wheel: Path, portion: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert f"schedule_zero/{portion}/py.typed" in archive.namelist()


def test_the_sdist_holds_what_its_makefile_and_its_tests_need(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    folders = (*PORTIONS, "examples", "tests", "docs", ".ci")
    assert {path for folder in folders for path in files_of(folder)} <= found
    assert {"CHANGELOG.md", "LICENSE", "Makefile", "README.md", "mkdocs.yml"} <= found
    assert not [name for name in found if name.startswith((".editable", ".venv"))]


@pytest.mark.slow
def test_the_wheel_installs_into_an_empty_environment_and_runs(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    bin_folder = tmp_path / "env" / "bin"
    run(bin_folder / "pip", "install", "--quiet", wheel, cwd=tmp_path)
    assert "COMMAND" in run(bin_folder / "schedule-zero", "--help", cwd=tmp_path)
    imports = "; ".join(f"import schedule_zero.{portion}" for portion in PORTIONS)
    run(bin_folder / "python", "-c", imports, cwd=tmp_path)


def files_of(folder: str) -> set[str]:
    """The files below a folder of the tree, by their paths from its root."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints; it has to succeed, and sees nothing of this tree by accident."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ran = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
