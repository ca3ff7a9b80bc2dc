"""`python -m schedule_zero.runtime module:function [text ...]`: serve the node a function makes."""

from __future__ import annotations

import importlib
import logging
import os
import sys

import trio

from schedule_zero.runtime.node import Node
from schedule_zero.runtime.serving import serve
from schedule_zero.transports import ScheduleZeroError

EXIT_USAGE = 2


def main(arguments: list[str]) -> int:
    """Serve until told to stop; the exit code."""
    logging.basicConfig(level="WARNING", format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    if not arguments or ":" not in arguments[0]:
        return _complain("expected module:function, the function making a Node, then its arguments")
    module, _, function = arguments[0].partition(":")
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `python` itself says it
    try:
        node = getattr(importlib.import_module(module), function)(*arguments[1:])
    except (ImportError, AttributeError, TypeError) as error:
        return _complain(f"{arguments[0]}: {error}")
    if not isinstance(node, Node):
        return _complain(f"{arguments[0]} gave {type(node).__name__}, expected a Node")
    try:
        return trio.run(serve, node)
    except ScheduleZeroError as error:
        return _complain(str(error))


def _complain(text: str) -> int:
    print(f"schedule_zero.runtime: {text}", file=sys.stderr)
    return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
