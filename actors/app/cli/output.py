"""What commands print: a table for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def show_json(value: object) -> None:
    """Print plain data as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
    """Print rows as a table; `empty` says what to do when there are none."""
    listed = [[_text(cell) for cell in row] for row in rows]
    if not listed:
        print(empty)
        return
    console = Console()
    if not console.is_terminal:
        for row in listed:
            print("\t".join(row))
        return
    table = Table(*columns, box=None, header_style="bold")
    for row in listed:
        table.add_row(*row)
    console.print(table)


def _text(cell: object) -> str:
    return "" if cell is None else str(cell)
