"""The context variables of an actor: its own, whatever others set."""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING

from schedule_zero.runtime.ref import current_cell

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell


def open_variables(cell: Cell) -> Context:
    """Those of an actor, made when its code first runs: a copy of the node's, and who it is."""
    if cell.variables is None:
        cell.variables = cell.node.variables.copy()
        cell.variables.run(current_cell.set, cell)
    return cell.variables


def close_unchanged(cell: Cell) -> None:
    """Let go of them if its start has set none: most actors wait long for their first message."""
    own, common = cell.variables, cell.node.variables
    if own is None or len(own) > len(common) + 1:
        return
    if all(own[var] is value for var, value in common.items()):
        cell.variables = None
