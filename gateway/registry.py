"""Builds adapters from their settings: the kind is the file's name, the fields are the settings."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from threading import Lock
from typing import Any, Final, TypeVar

import msgspec

from gateway.domain.problems import Misconfigured

T = TypeVar("T")
_one: Final = Lock()
"""msgspec learns a type when it is first asked about it, and two threads that ask at once crash it."""


def build(role: type[T], settings: Mapping[str, Any]) -> T:
    """Make the adapter that `settings` describe: `kind = "http_json"` is http_json.py beside `role`, a dotted kind is any module.

    Raises Misconfigured when there is no such module, no single adapter of that role in it, or a key is wrong.
    """
    kind = str(settings.get("kind", ""))
    fields = {name: value for name, value in settings.items() if name != "kind"}
    try:
        adapters = _adapters(role, kind if "." in kind else f"{role.__module__}.{kind}")
        if len(adapters) != 1:
            raise Misconfigured(f"{role.__name__} {kind!r}: the module holds {len(adapters)} adapters, one is wanted")
        with _one:
            return msgspec.convert(fields, adapters[0])
    except (ModuleNotFoundError, msgspec.ValidationError) as error:
        raise Misconfigured(f"{role.__name__} {kind!r}: {error}") from error


def kinds(role: type[T]) -> tuple[str, ...]:
    """The kinds in the tree: the names of the files beside `role` that hold an adapter of it."""
    home = import_module(role.__module__)
    return tuple(found.name for found in iter_modules(home.__path__) if _adapters(role, f"{role.__module__}.{found.name}"))


def _adapters(role: type[T], module: str) -> list[type[T]]:
    return [thing for thing in vars(import_module(module)).values() if isinstance(thing, type) and thing.__base__ is role]
