"""From the path of an application to its Huey instance, or to a message that helps."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

_SHAPES = "pkg.module.name, pkg.module:name or pkg.module:make()"


class Explained(Exception):
    """What went wrong is in the message, so a traceback would only hide it."""


class BadPath(Explained, ValueError):
    """The text is no import path at all."""


class MissingModule(Explained, ModuleNotFoundError):
    """No module of that name can be imported."""


class MissingName(Explained, AttributeError):
    """The module is there, the name in it is not."""


class NotAnApplication(Explained, TypeError):
    """The path leads to something that is no Huey instance."""


def find(path: str) -> Any:
    """Import what a path names; the current directory counts if nothing else has the module.

    Args:
        path: ``pkg.module.name`` or ``pkg.module:name``; with ``()`` at its end, what is found
            there is called without arguments, and its result is meant.

    Raises:
        Explained: the path leads nowhere.
        Exception: whatever the imported modules, or the called function, raise.
    """
    target = path.removesuffix("()")
    try:
        found = _resolve(target)
    except ImportError:
        if not _add_current_directory():
            raise
        retry = True
    else:
        retry = False
    # Outside of the handler: the second error is the one to show, without the first before it.
    if retry:
        found = _resolve(target)
    return found if target == path else found()


def find_application(path: str) -> Any:
    """Import a Huey instance.

    Raises:
        Explained: the path leads nowhere, or to something else.
        Exception: whatever the imported modules, or the called function, raise.
    """
    found = find(path)
    # Whatever makes a consumer will do: applications wrap their Huey instance.
    if not isinstance(found, type) and callable(getattr(found, "create_consumer", None)):
        return found
    raise NotAnApplication(
        f"expected a Huey instance, got {_describe(found)}. {_advice(path, found)}"
    )


def _resolve(path: str) -> Any:
    module_path, colon, attributes = path.partition(":")
    parts = [*module_path.split("."), *(attributes.split(".") if colon else ())]
    if not all(part.isidentifier() for part in parts):
        raise BadPath(f"expected {_SHAPES}, got {path!r}.")
    if colon:
        module, names = _import_longest(module_path.split("."), whole=True)
        names = attributes.split(".")
    else:
        module, names = _import_longest(parts)
    found: Any = module
    for name in names:
        found = _step(module, found, name)
    return found


def _import_longest(parts: list[str], *, whole: bool = False) -> tuple[ModuleType, list[str]]:
    """Import as many leading parts as name modules; the last part is a name, if there are two."""
    longest = len(parts) if whole else max(len(parts) - 1, 1)
    shortest = longest if whole else 1
    for size in range(longest, shortest - 1, -1):
        name = ".".join(parts[:size])
        try:
            return importlib.import_module(name), parts[size:]
        except ModuleNotFoundError as error:
            # A module which the application itself lacks is its own error, and shown as such.
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            missing = error.name
    raise MissingModule(
        f"there is no module {missing!r} on the import path or in {os.getcwd()}. "
        f"Expected {_SHAPES}.",
        name=missing,
    )


def _step(module: ModuleType, found: Any, name: str) -> Any:
    try:
        return getattr(found, name)
    except AttributeError:
        if submodule := _submodule(found, name):
            return submodule
        holder = getattr(found, "__name__", type(found).__name__)
        raise MissingName(
            f"{holder!r} has no {name!r}. {_advice(module.__name__, module)}", name=name
        ) from None


def _submodule(found: Any, name: str) -> ModuleType | None:
    if not hasattr(found, "__path__"):
        return None
    path = f"{found.__name__}.{name}"
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        return None


def _add_current_directory() -> bool:
    """Put the current directory first on the import path; tell whether that is news."""
    current = os.getcwd()
    if "" in sys.path or current in sys.path:
        return False
    sys.path.insert(0, current)
    return True


def _describe(found: Any) -> str:
    from types import ModuleType

    if isinstance(found, ModuleType):
        return f"the module {found.__name__!r}"
    if isinstance(found, type):
        return f"the class {found.__name__!r}, not an instance of it"
    return f"a value of type {type(found).__name__!r}"


def _advice(path: str, found: Any) -> str:
    """Tell what to write instead: the Huey instances of the module at hand."""
    from types import ModuleType

    module = found if isinstance(found, ModuleType) else _module_of(path)
    paths = [] if module is None else [f"{module.__name__}.{name}" for name in _instances(module)]
    if paths:
        return f"Did you mean {' or '.join(paths)}?"
    if callable(found) and not path.endswith("()"):
        return f"If it returns a Huey instance, write {path}()."
    return f"Give the path of a Huey instance, as {_SHAPES}."


def _module_of(path: str) -> ModuleType | None:
    """Find the imported module that a path, known to lead somewhere, begins with."""
    parts = path.removesuffix("()").replace(":", ".").split(".")
    names = (".".join(parts[:size]) for size in range(len(parts), 0, -1))
    return next((sys.modules[name] for name in names if name in sys.modules), None)


def _instances(module: ModuleType) -> list[str]:
    from huey.app.huey import Huey

    # By type: isinstance would wake up lazy proxies, which may connect to something.
    return [name for name, value in vars(module).items() if issubclass(type(value), Huey)]
