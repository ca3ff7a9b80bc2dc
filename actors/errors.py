"""Errors of the components, by who must act."""

from __future__ import annotations

from schedule_zero.transports import ScheduleZeroError


class ConfigError(ScheduleZeroError):
    """What the operator gave cannot be used; nothing was started.

    `problems` holds one line a problem, all of them at once.
    """

    code = "config"

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ScheduleError(ScheduleZeroError):
    """A schedule cannot be used as it was asked for."""

    code = "schedule"


class UnknownSchedule(ScheduleError):
    """No schedule has this id."""

    code = "unknown-schedule"

    def __init__(self, schedule_id: str) -> None:
        super().__init__(f"no schedule {schedule_id!r}; `schedule-zero schedules list` names them")
        self.schedule_id = schedule_id


class BadCall(ScheduleError):
    """A handler's method was called with what it does not take; it was not run."""

    code = "bad-call"


class NoHandler(ScheduleError):
    """No handler of this id is known to the node."""

    code = "no-handler"

    def __init__(self, handler: str, known: list[str]) -> None:
        super().__init__(f"no handler {handler!r}; known are: {', '.join(known) or 'none'}")
        self.handler = handler


class BadResult(ScheduleError):
    """A method returned what cannot be kept in the ledger."""

    code = "bad-result"


class JobExited(ScheduleError):
    """A job tried to end the process; that fails the run, and nothing else."""

    code = "job-exited"

    def __init__(self, method: str, what: str) -> None:
        super().__init__(f"{method} raised {what}: a job ends by returning or by an exception")


class RunTimedOut(ScheduleError, TimeoutError):
    """A run took longer than its timeout and was cancelled."""

    code = "run-timed-out"

    def __init__(self, method: str, timeout: float) -> None:
        super().__init__(f"{method} took longer than its timeout of {timeout:g} s")
        self.timeout = timeout


class BadTrigger(ScheduleError):
    """A trigger cannot be built from these values."""

    code = "bad-trigger"


class StoreError(ScheduleZeroError):
    """The ledger's database refused."""

    code = "store"


class StoreUnavailable(StoreError):
    """The database cannot be opened, read or written now."""

    code = "store-unavailable"


class SchemaTooNew(StoreError):
    """The database was written by a newer version of this program."""

    code = "schema-too-new"

    def __init__(self, found: int, known: int, where: str) -> None:
        super().__init__(
            f"database {where} has schema version {found}, this program knows up to {known}: "
            "upgrade schedule-zero, or use another database"
        )
        self.found = found
        self.known = known


class NodeNameInUse(StoreError):
    """Another living node of the same name works on this database."""

    code = "node-name-in-use"


class BadData(StoreError):
    """A value cannot be written to the ledger, or bytes in it cannot be read."""

    code = "bad-data"


class IllegalTransition(StoreError):
    """A run was to move between two states that the ledger's rules do not connect."""

    code = "illegal-transition"

    def __init__(self, run_id: object, state: str, wanted: str) -> None:
        super().__init__(f"run {run_id} is {state} and cannot become {wanted}")
        self.run_id = run_id
        self.state = state
        self.wanted = wanted
