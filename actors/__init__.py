"""The components, each a supervised actor; and what people write jobs with.

Example::

    from schedule_zero.actors import Handler, blocking, cron, every

    class Backup(Handler):
        @every(hours=1)
        async def snapshot(self, path: str = "/data") -> dict[str, int]: ...

        @cron("0 3 * * *", timezone="Europe/Rome")
        @blocking
        def nightly(self) -> None: ...
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schedule_zero.actors.errors import ConfigError, ScheduleError, StoreError
    from schedule_zero.actors.handler import Handler, cron, every, once
    from schedule_zero.runtime import blocking

__all__ = [
    "ConfigError",
    "Handler",
    "ScheduleError",
    "StoreError",
    "blocking",
    "cron",
    "every",
    "once",
]

_HOMES = {
    "ConfigError": "schedule_zero.actors.errors",
    "Handler": "schedule_zero.actors.handler",
    "ScheduleError": "schedule_zero.actors.errors",
    "StoreError": "schedule_zero.actors.errors",
    "blocking": "schedule_zero.runtime",
    "cron": "schedule_zero.actors.handler",
    "every": "schedule_zero.actors.handler",
    "once": "schedule_zero.actors.handler",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: the command line must start at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
