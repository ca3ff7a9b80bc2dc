"""Build hook: make an editable install see the three top-level folders as `schedule_zero.*`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NamespaceLinks(BuildHookInterface[Any]):
    """Link `.editable/schedule_zero/<part>` to each top-level folder before an editable install.

    A wheel takes the mapping from `pyproject.toml`. An editable install is one line of search
    path, and a path cannot rename a folder: the links do that, so that new files are seen at once
    by the interpreter and by type checkers alike.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the links. Called by hatchling before each build; `version` is its kind."""
        if version != "editable":
            return
        root = Path(self.root)
        for folder, package in self.build_config.sources.items():
            link = root / ".editable" / package
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(root / folder, link.parent), target_is_directory=True)
