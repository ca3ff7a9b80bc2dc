"""Handler classes from the modules that the operator names."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from schedule_zero.actors.errors import ConfigError
from schedule_zero.actors.handler import Handler


def load_handlers(names: Iterable[str]) -> list[type[Handler]]:
    """The `Handler` classes that these modules define, sorted by handler id.

    A name is a module or a package, whose modules are all imported; the working directory is
    searched first. Raises `ConfigError` with every problem at once.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    problems: list[str] = []
    found: dict[str, type[Handler]] = {}
    for name in names:
        for module in _import_all(name, problems):
            _collect(module, found, problems)
    if problems:
        raise ConfigError(*problems)
    return [found[key] for key in sorted(found)]


def _import_all(name: str, problems: list[str]) -> list[ModuleType]:
    module = _import(name.removesuffix(".py").replace("/", ".").strip("."), problems)
    if module is None:
        return []
    modules = [module]
    for info in pkgutil.iter_modules(getattr(module, "__path__", ())):
        below = _import(f"{module.__name__}.{info.name}", problems)
        if below is not None:
            modules.append(below)
    return modules


def _import(name: str, problems: list[str]) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name.split(".")[0]:
            problems.append(
                f"handler module {name!r}: not found in {Path.cwd()} nor among the installed "
                "packages: check the name, or run from the folder that holds it"
            )
        else:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            problems.append(
                f"handler module {name!r} does not import: {type(error).__name__}: {error} "
                f"({frame.filename}:{frame.lineno})"
            )
        return None


def _collect(module: ModuleType, found: dict[str, type[Handler]], problems: list[str]) -> None:
    for value in vars(module).values():
        is_handler = isinstance(value, type) and issubclass(value, Handler)
        if not is_handler or value.__module__ != module.__name__:
            continue
        other = found.setdefault(value.handler_id, value)
        if other is not value:
            problems.append(
                f"handler id {value.handler_id!r} is defined twice: {other.__module__}."
                f"{other.__qualname__} and {value.__module__}.{value.__qualname__}: set handler_id "
                "on one"
            )
