"""What others send to a handler."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs

from schedule_zero.runtime import Request, message


@message
class Invoke(Request[Any]):
    """Run one method. The reply is what it returns; what it raises fails the handler.

    `token` is the fencing token of this claim: it grows with each claim of the run, and a store
    that the method writes to can refuse a smaller one. `timeout` is in seconds.
    """

    run_id: UUID
    method: str
    params: Mapping[str, Any] = attrs.field(factory=dict)
    attempt: int = 1
    token: int = 1
    schedule_id: str | None = None
    fire_time: datetime | None = None
    timeout: float | None = None
