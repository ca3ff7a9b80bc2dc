"""One figure of one contestant, in this operating-system process: how `fresh.py` starts each.

    python -m tests.benchmarks.contestant MODULE FIGURE COUNT

A rate is taken once the same has run with a tenth of the count; memory is taken first thing.
"""

from __future__ import annotations

import gc
import json
import sys
from importlib import import_module


def value_of(module: str, figure: str, count: int) -> float:
    """Run it."""
    function = import_module(module).FIGURES[figure]
    if not figure.startswith("idle"):
        function(max(1, count // 10))
        gc.collect()
    value: float = function(count)
    return value


if __name__ == "__main__":
    print(json.dumps({"value": value_of(sys.argv[1], sys.argv[2], int(sys.argv[3]))}))
