"""One measured figure, and how time and memory are taken."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, frozen


@frozen
class Figure:
    """A name, a number and its unit."""

    name: str
    value: float
    unit: str

    def as_json(self) -> str:
        """One line of JSON."""
        value = round(self.value, 3) if self.value < 1000 else round(self.value)
        return json.dumps({"name": self.name, "value": value, "unit": self.unit})


@define
class Taken:
    """Seconds that a block took."""

    seconds: float = 0.0


@contextmanager
def measure() -> Iterator[Taken]:
    """Time a block."""
    taken = Taken()
    begun = time.perf_counter()
    yield taken
    taken.seconds = time.perf_counter() - begun


def resident() -> int:
    """Bytes of memory that this operating-system process holds (Linux), garbage collected."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
