"""Prints every figure as one JSON line: `make bench`, or names of parts as arguments.

Absolute figures are a machine's and a minute's; compare only what one run prints.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

PARTS = ("messaging", "scheduling")


def main() -> None:
    """Run the parts that were named, or all."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    for part in sys.argv[1:] or PARTS:
        for figure in import_module(f"tests.benchmarks.{part}").run():
            print(figure.as_json(), flush=True)


if __name__ == "__main__":
    main()
