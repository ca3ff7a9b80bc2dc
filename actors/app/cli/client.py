"""How commands reach a running node: over its own API, found through its node file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
from attrs import frozen
from cyclopts import Parameter

from schedule_zero.transports import ScheduleZeroError


class Unreachable(ScheduleZeroError):
    """No node answers."""

    code = "unreachable"
    exit_code = 3


class Refused(ScheduleZeroError):
    """The node answered with an error."""

    code = "refused"
    exit_code = 1


@Parameter(name="*")
@frozen
class Target:
    """Which node to ask."""

    name: str = "node"
    """The node's name."""

    data: Path = Path("var")
    """The node's data folder."""

    def get(self, path: str, **params: Any) -> Any:
        """The reply to a GET of `/api/...`, as plain data. Raises `Unreachable`, `Refused`."""
        given = {key: value for key, value in params.items() if value is not None}
        return self._request("GET", path, params=given)

    def post(self, path: str, body: object) -> Any:
        """The reply to a POST of a JSON body."""
        return self._request("POST", path, json=body)

    def _request(self, verb: str, path: str, **kwargs: Any) -> Any:
        found = self._node_file()
        headers = {"Authorization": f"Bearer {found['token']}"}
        address = found["url"].rstrip("/") + path
        try:
            reply = httpx.request(verb, address, headers=headers, timeout=None, **kwargs)
        except httpx.TransportError as error:
            raise Unreachable(
                f"node {self.name!r} does not answer at {found['url']} ({error}): is it running?"
            ) from error
        try:
            body = reply.json() if reply.content else None
        except ValueError as error:
            raise Unreachable(
                f"what answers at {found['url']} is no node: is {self.name!r} still running?"
            ) from error
        if reply.is_error:
            text = body["error"]["message"] if isinstance(body, dict) else reply.reason_phrase
            raise Refused(f"node {self.name!r} refused: {text}")
        return body

    def _node_file(self) -> dict[str, str]:
        path = self.data / f"{self.name}.json"
        try:
            found: dict[str, str] = json.loads(path.read_text())
            found["url"].encode("ascii"), found["token"].encode("ascii")
        except FileNotFoundError as error:
            raise Unreachable(
                f"no node {self.name!r} runs on {self.data}/ (no {path}): start one with "
                "`schedule-zero run`, or name another with --data and --name"
            ) from error
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Unreachable(
                f"{path} is not what a running node writes ({type(error).__name__}: {error}): "
                "start the node again"
            ) from error
        return found
