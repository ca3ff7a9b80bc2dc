"""Open places: fields of a message where anything may stand, found from the annotations once.

A type none of whose parts is `object`, `Any` or a class that bytes cannot be checked against (an
abstract one) is closed: its bytes need no names inside, and the encoder takes its values as they
are. For an open one, `opener` makes the function that walks a value down to its open places and
applies `open_place` there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from msgspec import inspect

Walk = Callable[[Any], Any]


def opener(hint: Any, open_place: Walk, closed: Collection[type] = ()) -> Walk | None:
    """The walk of values of this type; `None` when it is closed, as are the classes in `closed`.

    Raises `TypeError` for a type that cannot cross the network; what msgspec finds wrong with an
    annotation is raised as it is.
    """
    return _Opener(open_place, closed).walk_of(inspect.type_info(hint))


class _Opener:
    def __init__(self, open_place: Walk, closed: Collection[type]) -> None:
        self._open_place = open_place
        self._closed = closed
        self._classes: dict[type, Walk | None] = {}

    def walk_of(self, info: inspect.Type) -> Walk | None:
        """The walk of one type; `None` when it is closed."""
        if not self._is_open(info, set()):
            return None
        match info:
            case inspect.AnyType() | inspect.CustomType():
                return self._open_place
            case inspect.DataclassType(cls=cls):
                if cls not in self._classes:
                    return self._walk_of_fields(info)
                return lambda value: self._walk_known(cls, value)
            case inspect.DictType(value_type=item):
                return _walk_dict(self.walk_of(item))
            case inspect.TupleType(item_types=types):
                return _walk_tuple([self.walk_of(item) for item in types])
            case inspect.UnionType(types=types):
                return _walk_union([(kind, self.walk_of(kind)) for kind in types])
            case inspect.CollectionType(item_type=item):
                return _walk_items(self.walk_of(item))
        raise TypeError(f"{_name(info)} cannot hold anything at all: use a @message")

    def _is_open(self, info: inspect.Type, seen: set[type]) -> bool:
        match info:
            case inspect.AnyType():
                return True
            case inspect.CustomType(cls=cls):
                return cls not in self._closed
            case inspect.DataclassType(cls=cls):
                if cls in seen:
                    return False
                seen.add(cls)
                _check_names(info)
        opens = [self._is_open(part, seen) for part in _parts(info)]  # each, so that it is checked
        return any(opens)

    def _walk_of_fields(self, info: inspect.DataclassType) -> Walk | None:
        self._classes[info.cls] = None  # within itself, perhaps
        walks = [(field.name, self.walk_of(field.type)) for field in info.fields]
        self._classes[info.cls] = _walk_fields(walks)
        return self._classes[info.cls]

    def _walk_known(self, cls: type, value: Any) -> Any:
        walk = self._classes[cls]
        return value if walk is None else walk(value)


def _parts(info: inspect.Type) -> Iterator[inspect.Type]:
    match info:
        case inspect.CollectionType(item_type=item):
            yield item
        case inspect.DictType(key_type=key, value_type=item):
            yield from () if isinstance(key, inspect.AnyType) else (key,)
            yield item
        case inspect.TupleType(item_types=types) | inspect.UnionType(types=types):
            yield from types
        case (
            inspect.DataclassType(fields=fields)
            | inspect.StructType(fields=fields)
            | inspect.TypedDictType(fields=fields)
            | inspect.NamedTupleType(fields=fields)
        ):
            yield from (field.type for field in fields)


def _check_names(info: inspect.DataclassType) -> None:
    for field in info.fields:
        if field.name.startswith("_"):
            raise TypeError(f"field {field.name!r} of {info.cls.__qualname__} is private")


def _name(info: inspect.Type) -> str:
    return getattr(getattr(info, "cls", None), "__qualname__", type(info).__name__)


def _walk_fields(walks: Sequence[tuple[str, Walk | None]]) -> Walk:
    def walk(value: Any) -> dict[str, Any]:
        fields = {}
        for name, each in walks:
            part = getattr(value, name)
            fields[name] = part if each is None else each(part)
        return fields

    return walk


def _walk_items(each: Walk | None) -> Walk | None:
    return None if each is None else lambda value: [each(part) for part in value]


def _walk_dict(each: Walk | None) -> Walk | None:
    if each is None:
        return None
    return lambda value: {key: each(part) for key, part in value.items()}


def _walk_tuple(walks: Sequence[Walk | None]) -> Walk:
    return lambda value: [
        part if each is None else each(part) for each, part in zip(walks, value, strict=True)
    ]


def _walk_union(walks: Sequence[tuple[inspect.Type, Walk | None]]) -> Walk:
    def walk(value: Any) -> Any:
        for kind, each in walks:
            if each is not None and _is_of(value, kind):
                return each(value)
        return value

    return walk


def _is_of(value: Any, kind: inspect.Type) -> bool:
    match kind:
        case inspect.DataclassType(cls=cls):
            return isinstance(value, cls)
        case inspect.CollectionType() | inspect.TupleType():
            return isinstance(value, list | tuple | set | frozenset)
        case inspect.DictType():
            return isinstance(value, dict)
    return True
