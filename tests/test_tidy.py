"""The shape of the tree: small files, small functions, no leftovers."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    path
    for folder in ("transports", "runtime", "actors", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
LINES_A_FILE = 500
LINES_A_FUNCTION = 60
FORBIDDEN_NAMES = ("manager", "helper", "helpers", "utils", "util", "misc", "common")


@pytest.fixture(params=SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def source(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_a_file_is_small_and_says_what_it_is(source: Path) -> None:
    text = source.read_text()
    assert len(text.splitlines()) <= LINES_A_FILE
    assert ast.get_docstring(ast.parse(text)), "the module has no docstring"
    assert source.stem not in FORBIDDEN_NAMES


def test_functions_are_small(source: Path) -> None:
    tree = ast.parse(source.read_text())
    long = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in functions(tree)
        if (node.end_lineno or 0) - node.lineno >= LINES_A_FUNCTION
    }
    assert not long


def test_nothing_is_left_to_do(source: Path) -> None:
    assert not re.findall(r"\b(?:TODO|FIXME|XXX|HACK)\b", source.read_text())


def test_the_changelog_has_this_version_on_top() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == version
