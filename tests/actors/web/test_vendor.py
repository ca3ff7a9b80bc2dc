"""What others wrote is what they published, and the page asks nobody else for anything."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from schedule_zero.actors.web import assets

STATIC = assets.FOLDER
VENDOR = STATIC / "vendor"
LISTED = json.loads((VENDOR / "vendor.json").read_text())
OWN = [
    *sorted((STATIC.parent / "templates").rglob("*.*")),
    *sorted(path for path in STATIC.iterdir() if path.is_file()),
]


@pytest.mark.parametrize("entry", LISTED, ids=lambda entry: entry["name"])
def test_a_vendored_file_is_as_published(entry: dict[str, str]) -> None:
    content = (VENDOR / entry["file"]).read_bytes()
    assert sha256(content).hexdigest() == entry["sha256"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", entry["version"])
    assert entry["licence"] in {"0BSD", "MIT"}
    assert "Permission" in (VENDOR / entry["licence_file"]).read_text()


def test_every_vendored_file_is_listed() -> None:
    listed = {entry["file"] for entry in LISTED} | {entry["licence_file"] for entry in LISTED}
    assert {path.name for path in VENDOR.iterdir()} == listed | {"vendor.json"}


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_our_own_files_name_no_other_address(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"https?://", text)
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?//""", text)


def test_the_vendored_style_loads_nothing() -> None:
    style = (VENDOR / "pico.min.css").read_text()
    assert "@import" not in style
    assert all(url.startswith("data:") for url in re.findall(r'url\(["\']?([^)"\']+)', style))
