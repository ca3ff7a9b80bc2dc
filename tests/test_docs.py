"""Every Python block of the README, of docs/ and of the packages' own docstrings runs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FACES = [ROOT / part / "__init__.py" for part in ("transports", "runtime", "actors")]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks_of_page(page: Path) -> str:
    """The page's blocks, each at its own line, so that a failure names the page's line."""
    text = page.read_text()
    program: list[str] = []
    for match in BLOCK.finditer(text):
        line = text[: match.start(1)].count("\n")
        program += [""] * (line - len(program)) + match[1].splitlines()
    return "\n".join(program)


def blocks_of_face(face: Path) -> str:
    """The example in a package's docstring."""
    docstring = ast.get_docstring(ast.parse(face.read_text())) or ""
    _, _, example = docstring.partition("Example::\n")
    return textwrap.dedent(example)


def run(program: str, name: str, folder: Path) -> None:
    path = folder / name.replace("/", "_")
    path.write_text(program)
    ran = subprocess.run(
        [sys.executable, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
    )
    assert ran.returncode == 0, f"{name}: {ran.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    run(blocks_of_page(page), f"{page.relative_to(ROOT)}.py", tmp_path)


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.parent.name)
def test_the_example_of_a_package_runs(face: Path, tmp_path: Path) -> None:
    run(blocks_of_face(face), f"{face.relative_to(ROOT)}", tmp_path)
