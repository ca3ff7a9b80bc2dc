"""The shape of the tree: small files, small functions, no leftovers.

The numbers are what has been reached: they may only fall. What ruff can see (commented-out code,
complexity, unused names) is its own matter.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINES_A_FILE = 500
LINES_A_TEST_FILE = 700
LINES_A_FUNCTION = 60

FOLDERS = ("transports", "runtime", "actors", "examples", "tests")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
WORDS_OF_NO_MEANING = {
    *("common", "data", "helper", "helpers", "manager", "misc", "process", "util", "utils"),
}
LEFTOVER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")


@pytest.fixture(params=SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def source(request: pytest.FixtureRequest) -> Path:
    """A file of Python."""
    path: Path = request.param
    return path


def test_a_file_is_small(source: Path) -> None:
    is_test = source.is_relative_to(ROOT / "tests")
    lines = len(source.read_text().splitlines())
    assert lines <= (LINES_A_TEST_FILE if is_test else LINES_A_FILE)


def test_a_file_says_what_it_is(source: Path) -> None:
    assert ast.get_docstring(ast.parse(source.read_text())), "expected a docstring at its top"


def test_a_file_is_named_for_what_it_defines(source: Path) -> None:
    words = source.stem.strip("_").split("_")
    assert not WORDS_OF_NO_MEANING.intersection(words)


def test_functions_are_small(source: Path) -> None:
    long = {
        f"{node.name} (line {node.lineno})": lines
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > LINES_A_FUNCTION
    }
    assert not long


def test_nothing_is_left_to_do(source: Path) -> None:
    assert not LEFTOVER.findall(source.read_text())


def test_the_changelog_has_this_version_on_top() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == version


def test_every_decision_is_in_the_index_and_the_menu() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    menu = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs" / "decisions").glob("*.md"):
        assert f"decisions/{page.name}" in index
        assert f"decisions/{page.name}" in menu
