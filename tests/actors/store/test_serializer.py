"""Bytes and back, and what hostile bytes can do: nothing."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack
import pytest
from apscheduler import DeserializationError, SerializationError
from apscheduler.abc import Trigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schedule_zero.actors.errors import BadData
from schedule_zero.actors.store import PlainSerializer
from schedule_zero.actors.store.serializer import dumps, loads

NEW_YORK = ZoneInfo("America/New_York")
START = datetime(2025, 10, 31, 20, tzinfo=NEW_YORK)
FOLD = datetime(2025, 11, 2, 1, 30, tzinfo=NEW_YORK, fold=1)
GAP = datetime(2025, 3, 9, 2, 30, tzinfo=NEW_YORK)


def interval() -> Trigger:
    return IntervalTrigger(hours=1, seconds=0.5, start_time=START, end_time=START + timedelta(30))


def cron() -> Trigger:
    return CronTrigger(
        minute="30", hour="0-3,22", day_of_week="fri-sun", start_time=START, timezone=NEW_YORK
    )


def odd_cron() -> Trigger:
    return CronTrigger(
        day="last,1st mon",
        month="jan-mar",
        start_time=START,
        timezone=timezone(timedelta(hours=5.5)),
    )


def calendar() -> Trigger:
    return CalendarIntervalTrigger(
        months=1, hour=1, minute=30, start_date=date(2025, 10, 31), timezone=NEW_YORK
    )


TRIGGERS: dict[str, Callable[[], Trigger]] = {
    "date": lambda: DateTrigger(FOLD),
    "interval": interval,
    "cron": cron,
    "odd cron": odd_cron,
    "calendar": calendar,
    "or": lambda: OrTrigger([interval(), cron()]),
    "and": lambda: AndTrigger([cron(), CronTrigger(minute="*/15", start_time=START, timezone=UTC)]),
    "nested": lambda: OrTrigger(
        [AndTrigger([cron(), cron()], threshold=5), OrTrigger([calendar(), DateTrigger(START)])]
    ),
}


@pytest.mark.parametrize("name", TRIGGERS)
@pytest.mark.parametrize("taken", [0, 1, 2, 7])
def test_a_trigger_goes_on_where_it_was(name: str, taken: int) -> None:
    trigger = TRIGGERS[name]()
    for _ in range(taken):
        trigger.next()
    restored = loads(dumps(trigger))
    expected = [trigger.next() for _ in range(20)]
    found = [restored.next() for _ in range(20)]
    assert found == expected
    assert [fire and fire.utcoffset() for fire in found] == [
        fire and fire.utcoffset() for fire in expected
    ]
    assert repr(restored) == repr(trigger)


plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.uuids()
    | st.dates()
    | st.timedeltas()
    | st.datetimes(
        timezones=st.sampled_from([None, UTC, NEW_YORK, timezone(timedelta(minutes=-90))]),
        allow_imaginary=True,
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
    ),
    max_leaves=12,
)


@given(plain_values)
@example(FOLD)
@example(GAP)
@example(((),))
def test_a_plain_value_comes_back_equal_and_of_the_same_types(value: object) -> None:
    assert _with_types(loads(dumps(value))) == _with_types(value)


def _with_types(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return (type(value), [_with_types(each) for each in value])
    if isinstance(value, dict):
        return {key: _with_types(each) for key, each in value.items()}
    if isinstance(value, datetime):
        return (value.replace(tzinfo=None), value.fold, value.utcoffset(), str(value.tzinfo))
    return (type(value), value)


class Own(dict[str, object]):
    """A class of somebody's own."""


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        Own(a=1),
        2**64,
        print,
        Own,
        {"deep": [object()]},
        "\ud800",
        complex(1),
        ZoneInfo.no_cache("UTC").__class__,
    ],
)
def test_what_is_not_plain_is_refused(value: object) -> None:
    with pytest.raises(BadData, match="cannot be stored") as caught:
        dumps(value)
    assert isinstance(caught.value, SerializationError), "so that stock APScheduler knows it"


def test_what_nests_too_deep_to_be_read_is_refused_when_it_is_written() -> None:
    value: object = ()
    for _ in range(19):
        value = (value,)
    assert loads(dumps(value)) == value
    with pytest.raises(BadData):
        dumps((value,))
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(BadData):
        dumps(endless)


def test_bytes_that_nest_deep_do_not_exhaust_the_stack() -> None:
    raw = b"\xc0"
    for _ in range(5000):
        raw = msgpack.packb(msgpack.ExtType(1, raw))
    with pytest.raises(BadData, match="nest deeper"):
        loads(raw)
    with pytest.raises(BadData):
        loads(b"\x91" * 100_000 + b"\xc0")


class Exploit:
    """What a pickle could do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("code from the database was run",))


@pytest.mark.parametrize(
    "raw",
    [
        pickle.dumps(Exploit()),
        b'{"__apscheduler_type__": ["os:system", "true"]}',
        msgpack.packb(msgpack.ExtType(18, msgpack.packb(["os:system", {"version": 1}]))),
        msgpack.packb(msgpack.ExtType(20, msgpack.packb([["os:system"], [], 1, 1]))),
        msgpack.packb(msgpack.ExtType(99, b"")),
        msgpack.packb(msgpack.ExtType(6, msgpack.packb(["../../etc/passwd"]))),
        msgpack.packb(msgpack.ExtType(6, msgpack.packb(["America"]))),
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"",
    ],
)
def test_a21_h19_hostile_bytes_run_nothing_and_are_one_error(raw: bytes) -> None:
    with pytest.raises(BadData, match="cannot be read") as caught:
        loads(raw)
    assert isinstance(caught.value, DeserializationError)


@pytest.mark.parametrize(
    ("trigger", "change"),
    [
        (interval(), {"interval": [0, 0, 0, 0, 0, 0]}),
        (interval(), {"interval": [0, 0, 0, 0, -5, 0]}),
        (interval(), {"interval": ["a", 0, 0, 0, 0, 0]}),
        (interval(), {"start_time": None}),
        (interval(), {"start_time": datetime(2025, 1, 1)}),
        (interval(), {"last_fire_time": "now"}),
        (cron(), {"timezone": "Europe/Rome"}),
        (cron(), {"fields": ["*"] * 7}),
        (cron(), {"fields": ["*"] * 7 + [["*"]]}),
        (cron(), {"fields": ["*"] * 7 + ["nonsense"]}),
        (calendar(), {"interval": [0, 0, 0, 0]}),
        (calendar(), {"interval": [1, -1, 0, 0]}),
        (calendar(), {"start_date": date(9999, 12, 31)}),
        (calendar(), {"start_date": START}),
        (calendar(), {"time": [25, 0, 0]}),
        (DateTrigger(START), {"run_time": 7}),
    ],
)
def test_an_impossible_trigger_is_refused_before_it_can_choke(
    trigger: Trigger, change: dict[str, object]
) -> None:
    code = msgpack.unpackb(dumps(trigger), ext_hook=lambda code, _: code)
    state = {**trigger.__getstate__(), **change}
    with pytest.raises(BadData):
        loads(msgpack.packb(msgpack.ExtType(code, dumps(state))))


def test_an_and_trigger_cannot_be_made_to_search_for_ever() -> None:
    trigger = AndTrigger([interval(), interval()], max_iterations=10**12)
    with pytest.raises(BadData, match="impossible limits"):
        loads(dumps(trigger))


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(raw: bytes) -> None:
    """`loads` returns something or raises `BadData`."""
    _try(raw)


@settings(max_examples=500)
@given(st.sampled_from(sorted(TRIGGERS)), st.data())
def test_damaged_triggers_raise_nothing_else_and_never_hang(name: str, data: st.DataObject) -> None:
    """Flip, cut or insert bytes: what still loads is a trigger or plain, and can be written."""
    raw = bytearray(dumps(TRIGGERS[name]()))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        if not raw:
            break
    _try(bytes(raw))


def _try(raw: bytes) -> None:
    try:
        value = loads(raw)
    except BadData:
        return
    try:
        dumps(value)
    except BadData:
        return


def test_the_interface_is_apschedulers() -> None:
    ours = PlainSerializer()
    value = {"id": UUID(int=1), "when": (START, None)}
    assert ours.deserialize(ours.serialize(value)) == value
