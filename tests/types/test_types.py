"""mypy infers the reply of an ask from its request, and sees the usual mistakes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_replies_are_inferred_and_mistakes_are_seen(tmp_path: Path) -> None:
    """Each `type: ignore` of the file is needed: an unused one is an error."""
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path)]
    environment = {**os.environ, "MYPYPATH": str(ROOT / ".editable")}
    checked = subprocess.run(
        [*command, "--config-file", os.devnull, str(Path(__file__).with_name("replies.py"))],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
