"""Every Python block of the README, of docs/ and of the packages' own docstrings runs."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from attrs import frozen

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FACES = [ROOT / part / "__init__.py" for part in ("transports", "runtime", "actors")]

FENCED = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^ *\2 *$", re.MULTILINE | re.DOTALL)
RUN = "python"
READ: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}
SHOWN = ("console", "sh", "text")


@frozen
class Block:
    """A fenced block of a page; `line` is that of its first line of content."""

    language: str
    text: str
    line: int


def blocks_of(page: str) -> Iterator[Block]:
    """The fenced blocks of a page's text."""
    for match in FENCED.finditer(page):
        indent, _, language, text = match.groups()
        text = re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)
        yield Block(language.strip(), text, page.count("\n", 0, match.start(4)) + 1)


def program_of(page: str) -> str:
    """A page's Python blocks as one program, each at its own line of the page."""
    lines: list[str] = []
    for block in blocks_of(page):
        if block.language == RUN:
            lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
    return "\n".join(lines)


def run(program: str, name: str, folder: Path) -> None:
    """Run a program of a page in a process of its own; a failure names the page's line."""
    path = folder / Path(name).name
    path.write_text(program)
    ran = subprocess.run(
        [sys.executable, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # a page may use the examples
    )
    if ran.returncode != 0:
        lines = re.findall(rf'File "{re.escape(str(path))}", line (\d+)', ran.stderr)
        pytest.fail(f"{name}:{lines[-1] if lines else 1}: failed\n{ran.stderr}", pytrace=False)


@pytest.fixture(params=PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def page(request: pytest.FixtureRequest) -> Path:
    """A page of the documentation."""
    path: Path = request.param
    return path


def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    program = program_of(page.read_text())
    if program:
        run(program, page.relative_to(ROOT).as_posix(), tmp_path)


def test_the_blocks_of_a_page_are_run_or_read_or_of_the_shell(page: Path) -> None:
    text, name = page.read_text(), page.relative_to(ROOT).as_posix()
    for block in blocks_of(text):
        where = f"{name}:{block.line}"
        known = (RUN, *READ, *SHOWN)
        assert block.language in known, f"{where}: expected one of {', '.join(known)}"
        if block.language in READ:
            assert READ[block.language](block.text) is not None, where
    assert "no-run" not in text, f"{name}: all Python blocks are run"


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.parent.name)
def test_the_example_of_a_package_runs(face: Path, tmp_path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(face.read_text())) or ""
    _, _, example = docstring.partition("Example::\n")
    run(textwrap.dedent(example), face.relative_to(ROOT).as_posix(), tmp_path)


def test_a_block_that_fails_is_named_by_its_line(tmp_path: Path) -> None:
    page = "# Title\n\n```python\nx = 1\n```\n\n- a list\n\n  ```python\n  assert x == 2\n  ```\n"
    with pytest.raises(pytest.fail.Exception, match=r"docs/page\.md:10: failed"):
        run(program_of(page), "docs/page.md", tmp_path)


def test_blocks_of_one_page_go_on_from_each_other(tmp_path: Path) -> None:
    run(program_of("```python\nx = 1\n```\nand\n```python\nassert x == 1\n```\n"), "p.md", tmp_path)
