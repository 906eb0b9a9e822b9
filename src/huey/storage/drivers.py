"""Import an optional driver, or say which extra to install."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from huey.exceptions import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a driver that only some applications need.

    Args:
        module: dotted name, such as "redis".
        extra: the extra of this package that installs it.
        purpose: who needs it, for the message; such as "RedisStorage".

    Raises:
        ConfigurationError: if it is not installed, or is broken.
    """
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        state = "is installed but fails to import" if is_installed(module) else "is not installed"
        raise ConfigurationError(
            f'{purpose} needs the package "{module}", which {state} ({exc}): '
            f'run pip install "huey[{extra}]".'
        ) from exc


def is_installed(module: str) -> bool:
    """Tell whether a driver is there, without importing it."""
    return importlib.util.find_spec(module.partition(".")[0]) is not None
