"""`schedule-zero call`: run a handler's method now."""

from __future__ import annotations

import json as json_codec
from typing import Any

from schedule_zero.actors.app.cli.client import Target
from schedule_zero.actors.app.cli.output import show_json
from schedule_zero.actors.errors import ConfigError


def call(
    handler: str,
    method: str,
    *params: str,
    target: Target | None = None,
    json: bool = False,
) -> int:
    """Run a handler's method now and wait for its end.

    Example: schedule-zero call backup snapshot path=/data keep=3

    Parameters
    ----------
    handler
        The handler's id.
    method
        The method's name.
    params
        Its parameters as name=value; a value is JSON where it can be, and text otherwise.
    json
        Print the whole run as JSON, not only its result.
    """
    body = {"handler": handler, "method": method, "params": dict(map(_param, params))}
    run = (target or Target()).post("/api/call", body)
    if json:
        show_json(run)
    elif run["state"] == "succeeded":
        show_json(run["result"])
    else:
        print(f"{run['state']}: {run['error'] or run['reason']}")
    return 0 if run["state"] == "succeeded" else 1


def _param(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"parameter {text!r}: expected name=value, such as path=/data")
    try:
        return name, json_codec.loads(value)
    except ValueError:
        return name, value
