"""Methods of a handler: what can be called by name, and with which parameters."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

import cattrs
from attrs import frozen
from cattrs.errors import ClassValidationError, StructureHandlerNotFoundError

from schedule_zero.actors.errors import BadCall
from schedule_zero.runtime import is_blocking

Kind = Literal["async", "blocking", "plain"]

_converter = cattrs.Converter(detailed_validation=False)


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}, got {type(value).__name__} {value!r}")
        return value

    return structure


for _kind in (int, str, bool, bytes):
    _converter.register_structure_hook(_kind, _exactly(_kind))


def _as_float(value: Any, _: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"expected a number, got {type(value).__name__} {value!r}")
    return float(value)


_converter.register_structure_hook(float, _as_float)


@frozen
class Method:
    """One method: how it runs, its documentation and its parameters."""

    name: str
    kind: Kind
    doc: str
    function: Callable[..., Any]
    signature: inspect.Signature
    hints: Mapping[str, Any]

    def bind(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call, checked and converted by the method's annotations.

        Raises `BadCall`, which names the parameter, what was found and what was expected.
        """
        known = [name for name in self.signature.parameters if name != "self"]
        try:
            self.signature.bind(None, **params)
        except TypeError as error:
            raise BadCall(
                f"{self.name}: {error}; it takes: {', '.join(known) or 'no parameters'}"
            ) from error
        bound: dict[str, Any] = {}
        for name, value in params.items():
            hint = self.hints.get(name)
            try:
                bound[name] = value if hint is None else _converter.structure(value, hint)
            except StructureHandlerNotFoundError:
                bound[name] = value  # an annotation that says nothing about plain data
            except (TypeError, ValueError, KeyError, ClassValidationError) as error:
                raise BadCall(f"{self.name}: parameter {name!r}: {error}") from error
        return bound


def methods_of(cls: type, *, without: type) -> dict[str, Method]:
    """The public methods that `cls` adds to the base class `without`, by name."""
    found: dict[str, Method] = {}
    for name in dir(cls):
        function = inspect.getattr_static(cls, name)
        if name.startswith("_") or hasattr(without, name) or not inspect.isfunction(function):
            continue
        found[name] = _method(name, function)
    return found


def _method(name: str, function: Callable[..., Any]) -> Method:
    try:
        hints = typing.get_type_hints(function)
    except NameError:
        hints = {}  # names known to type checkers only: the call is then not checked
    kind: Kind = "plain"
    if inspect.iscoroutinefunction(function):
        kind = "async"
    elif is_blocking(function):
        kind = "blocking"
    hints.pop("return", None)
    doc = inspect.getdoc(function) or ""
    return Method(name, kind, doc, function, inspect.signature(function), hints)
