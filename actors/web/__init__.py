"""The node's page and its HTTP API, served by an actor. Needs the `web` extra once it starts."""

from __future__ import annotations

from schedule_zero.actors.web.actor import Web, check_installed
from schedule_zero.actors.web.auth import new_token
from schedule_zero.actors.web.reads import Reads, StoreCall

__all__ = ["Reads", "StoreCall", "Web", "check_installed", "new_token"]
