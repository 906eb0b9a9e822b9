"""Where the value of an option comes from: flag, environment, pyproject.toml, default."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from huey.cli.options import every_option, variable_of
from huey.consumer_options import config_defaults

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_Kind = Literal["int", "float", "bool", "text"]

_KINDS: dict[_Kind, str] = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "text": "a text",
}

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})

_DEFAULTS: dict[str, Any] = {
    "app": None,
    **dict(config_defaults),
    "reload": False,
    "dry_run": False,
}


class BadSetting(ValueError):
    """An environment variable or a key of pyproject.toml holds what no option can take."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and who set it: a person who wonders about the value will ask."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class _Field:
    """What an option accepts when it is not given as a flag."""

    name: str
    kind: _Kind = "text"
    choices: tuple[str, ...] | None = None

    @property
    def expected(self) -> str:
        return " or ".join(self.choices) if self.choices else _KINDS[self.kind]

    def from_text(self, text: str) -> Any:
        """Read an environment variable; ValueError if it holds nothing of this kind."""
        match self.kind:
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "bool":
                return _switch(text)
            case _:
                return self._chosen(text)

    def from_toml(self, value: Any) -> Any:
        """Check a value of a TOML file, whose types are already right or wrong."""
        match self.kind, value:
            case ("bool", bool()):
                return value
            case ("int" | "float" | "text", bool()):
                raise ValueError(value)
            case ("int", int()) | ("float", int() | float()):
                return value
            case ("text", str()):
                return self._chosen(value)
            case ("text", list()) if self.name == "extra_locks" and _all_texts(value):
                return ",".join(value)
        raise ValueError(value)

    def _chosen(self, text: str) -> str:
        if self.choices and text not in self.choices:
            raise ValueError(text)
        return text


def collect(
    given: Mapping[str, Any], environ: Mapping[str, str], pyproject: Path
) -> dict[str, Setting]:
    """Find the value of every option, and of ``app``.

    Args:
        given: options that were flags.
        environ: environment variables; an empty one counts as not set.
        pyproject: file whose table ``[tool.huey]`` is read; it need not exist.

    Raises:
        BadSetting: a key of the table is unknown, or a value has the wrong type.
    """
    table = _read_table(pyproject)
    settings = {}
    for field in _fields().values():
        variable = variable_of(field.name)
        if field.name in given:
            setting = Setting(given[field.name], "command line")
        elif text := environ.get(variable, "").strip():
            setting = Setting(_from_environment(field, variable, text), f"environment {variable}")
        elif field.name in table:
            setting = Setting(table[field.name], f"[tool.huey] of {pyproject.name}")
        else:
            setting = Setting(_DEFAULTS[field.name], "default")
        settings[field.name] = setting
    return settings


def misspelt(environ: Mapping[str, str]) -> dict[str, str]:
    """Pair variables that nearly name an option with the name that may have been meant.

    Other HUEY_ variables belong to the application, which is why none of them is an error.
    """
    known = [variable_of(name) for name in _fields()]
    strangers = (name for name in environ if name.startswith("HUEY_") and name not in known)
    close = {name: difflib.get_close_matches(name, known, n=1, cutoff=0.9) for name in strangers}
    return {name: matches[0] for name, matches in close.items() if matches}


def _fields() -> dict[str, _Field]:
    fields = {"app": _Field("app")}
    for _, kwargs in every_option():
        name = kwargs["dest"]
        if "action" in kwargs:
            fields[name] = _Field(name, "bool")
        else:
            fields[name] = _Field(name, kwargs.get("type", "text"), kwargs.get("choices"))
    return fields


def _from_environment(field: _Field, variable: str, text: str) -> Any:
    try:
        return field.from_text(text)
    except ValueError:
        raise BadSetting(
            f"Environment variable {variable} must be {field.expected}, got {text!r}."
        ) from None


def _read_table(pyproject: Path) -> dict[str, Any]:
    """Read and check ``[tool.huey]``; keys may be written with dashes, as flags are."""
    try:
        document = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BadSetting(f"{pyproject.name} cannot be read: {error}.") from error
    table = document.get("tool", {}).get("huey", {})
    fields = _fields()
    return dict(_checked(pyproject.name, fields, key, value) for key, value in table.items())


def _checked(filename: str, fields: dict[str, _Field], key: str, value: Any) -> tuple[str, Any]:
    field = fields.get(key.replace("-", "_"))
    if field is None:
        raise BadSetting(
            f"{filename} [tool.huey]: unknown key {key!r}.{_suggestion(key)} "
            f"Known keys: {', '.join(fields)}."
        )
    try:
        return field.name, field.from_toml(value)
    except ValueError:
        raise BadSetting(
            f"{filename} [tool.huey]: {key} must be {field.expected}, got {value!r}."
        ) from None


def _suggestion(key: str) -> str:
    names = {name: name for name in _fields()}
    # A person who knows the flag --delay looks for a key of that name.
    names |= {flag.removeprefix("--").replace("-", "_"): kw["dest"] for flag, kw in every_option()}
    matches = difflib.get_close_matches(key.replace("-", "_"), names, n=1)
    return f" Did you mean {names[matches[0]]!r}?" if matches else ""


def _switch(text: str) -> bool:
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(text)
    return word in _TRUE


def _all_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
