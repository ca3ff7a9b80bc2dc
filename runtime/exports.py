"""Exports: the numbers under which other nodes know the actors of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schedule_zero.runtime.cell import Cell

_SWEEP_AT = 1024


class Exports:
    """Gives each actor that another node hears of a number, for this life of the node.

    A number is never given twice. Actors that have ended are forgotten.
    """

    def __init__(self) -> None:
        self._cells: dict[int, Cell] = {}
        self._numbers: dict[Cell, int] = {}
        self._last = 0
        self._sweep_at = _SWEEP_AT

    def number(self, cell: Cell) -> int:
        """The number of an actor."""
        number = self._numbers.get(cell)
        if number is None:
            if len(self._cells) >= self._sweep_at:
                self._sweep()
            self._last = number = self._last + 1
            self._cells[number] = cell
            self._numbers[cell] = number
        return number

    def cell(self, number: int) -> Cell | None:
        """The actor of a number, unless it has ended or there never was one."""
        cell = self._cells.get(number)
        if cell is not None and cell.is_stopped:
            self._forget(number, cell)
            return None
        return cell

    def _sweep(self) -> None:
        for number, cell in list(self._cells.items()):
            if cell.is_stopped:
                self._forget(number, cell)
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._cells))

    def _forget(self, number: int, cell: Cell) -> None:
        del self._cells[number]
        del self._numbers[cell]
