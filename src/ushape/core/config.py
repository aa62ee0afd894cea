"""What every config is: frozen, strict, and helpful when a name is wrong."""

from __future__ import annotations

import difflib
import tomllib
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ushape.core.errors import ConfigError

T = TypeVar("T")
OWN_WORDS = {"too_short": "expected at least {min_length} values", "too_long": "expected at most {max_length} values"}
"""What to say of some of pydantic's faults, by type, in the place of its own words."""


class Config(BaseModel):
    """The base of all configs: no unknown fields, no assignment after construction."""

    model_config = ConfigDict(frozen=True, extra="forbid")


ConfigT = TypeVar("ConfigT", bound=Config)


def parse_config(cls: type[ConfigT], data: Mapping[str, Any], where: str) -> ConfigT:
    """Build a config from plain data, with errors that a person can act on.

    Args:
        where: what the data is called in messages: "recipe", or a file name.
    Raises:
        ConfigError: one line for each fault: the dotted field, what is wrong, the nearest name, the choices.

    >>> class Block(Config):
    ...     norm: typing.Literal["batch", "none"] = "batch"
    >>> parse_config(Block, {"norm": "bacth"}, "recipe")
    Traceback (most recent call last):
    ushape.core.errors.ConfigError: recipe.norm: unknown value 'bacth'; did you mean 'batch'? choose one of: batch, none
    """
    try:
        return cls.model_validate(dict(data))
    except ValidationError as error:
        raise ConfigError("\n".join(_describe_all(cls, error.errors(), where))) from None


def refuse_unknown(cls: type[Config], data: Mapping[str, Any], where: str) -> None:
    """Refuse names that no field has, in data that need not be complete; dotted ones name fields of fields.

    Raises:
        ConfigError: one line for each such name.

    >>> class Recipe(Config):
    ...     depth: int
    ...     batch: int
    >>> refuse_unknown(Recipe, {"dept": 4}, "recipe")
    Traceback (most recent call last):
    ushape.core.errors.ConfigError: recipe: unknown field 'dept'; did you mean 'depth'? choose one of: depth, batch
    """
    faults = list(_unknown_in(cls, data, where))
    if faults:
        raise ConfigError("\n".join(faults))


def with_fields(config: ConfigT, changes: Mapping[str, Any], where: str = "--set") -> ConfigT:
    """Return a copy with dotted fields changed: `{"net.up": "linear"}`.

    Raises:
        ConfigError: a field does not exist, or a value does not fit.

    >>> class Net(Config):
    ...     depth: int = 4
    >>> class Recipe(Config):
    ...     net: Net = Net()
    >>> with_fields(Recipe(), {"net.depth": 5}).net.depth
    5
    """
    data = config.model_dump()
    for dotted, value in changes.items():
        *parents, last = dotted.split(".")
        node = data
        for name in parents:
            if not isinstance(node.get(name), dict):
                tables = [key for key, value in node.items() if isinstance(value, dict)]
                raise ConfigError(f"{where} {dotted}: {unknown('table', name, tables)}")
            node = node[name]
        node[last] = value
    return parse_config(type(config), data, where)


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split `a.b=value`; the value is read as TOML, else it is a string.

    >>> parse_assignment("net.widths=[8, 16]"), parse_assignment("net.up=linear")
    (('net.widths', [8, 16]), ('net.up', 'linear'))
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"--set {text!r}: expected name=value, for instance net.up=linear")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()


def choose(name: str, options: Mapping[str, T], what: str) -> T:
    """Look up `name` in a table of alternatives.

    Raises:
        ConfigError: `name` is not a key; the message lists the keys and the closest one.

    >>> choose("adam", {"adamw": 1, "sgd": 2}, "optimizer")
    Traceback (most recent call last):
    ushape.core.errors.ConfigError: unknown optimizer 'adam'; did you mean 'adamw'? choose one of: adamw, sgd
    """
    try:
        return options[name]
    except KeyError:
        raise ConfigError(unknown(what, name, options)) from None


def unknown(what: str, name: object, options: Iterable[object]) -> str:
    """Say that `name` is not among `options`, and which one may have been meant."""
    names = [str(option) for option in options]
    close = nearest(str(name), names)
    hint = f" did you mean {close!r}?" if close else ""
    return f"unknown {what} {name!r};{hint} choose one of: {', '.join(names)}"


def nearest(name: str, options: Iterable[str], *, likeness: float = 0.6) -> str:
    """Return the option that `name` may be a misspelling of; "" if none is near.

    Args:
        likeness: what counts as near, 1 for the same letters; see `difflib.SequenceMatcher.ratio`.

    >>> nearest("Bacth", ["batch", "group"]), nearest("none", ["batch"])
    ('batch', '')
    """
    by_lower = {option.lower(): option for option in options}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=likeness)
    return by_lower[close[0]] if close else ""


def _unknown_in(cls: type[Config], data: Mapping[str, Any], where: str) -> Iterator[str]:
    for dotted, given in data.items():
        name, _, rest = dotted.partition(".")
        value = {rest: given} if rest else given
        if name not in cls.model_fields:
            yield f"{where}: {unknown('field', name, cls.model_fields)}"
            continue
        configs = _configs_in(cls.model_fields[name].annotation)
        if isinstance(value, Mapping) and len(configs) == 1:
            yield from _unknown_in(configs[0], value, f"{where}.{name}")


def _describe_all(cls: type[Config], faults: Sequence[Any], where: str) -> list[str]:
    """Write one line per field: of a field with alternatives, pydantic says what each of them misses."""
    by_field: dict[tuple[str, ...], list[Any]] = {}
    for fault in faults:
        by_field.setdefault(tuple(str(part) for part in fault["loc"] if not _is_alternative(part)), []).append(fault)
    return [_describe(cls, names, group, where) for names, group in by_field.items()]


def _is_alternative(part: object) -> bool:
    """Tell the name of an alternative, such as `literal['none']`, from that of a field."""
    return isinstance(part, str) and (not part.isidentifier() or part in ("int", "float", "str", "bool"))


def _describe(cls: type[Config], path: tuple[str, ...], group: list[Any], where: str) -> str:
    names, fault = list(path), group[0]
    field = ".".join([where, *names])
    if fault["type"] == "extra_forbidden":
        parent = ".".join([where, *names[:-1]])
        return f"{parent}: {unknown('field', names[-1], _fields_at(cls, names[:-1]))}"
    if fault["type"] == "literal_error":
        options = _options_at(cls, names)
        if options and len(group) == 1:
            return f"{field}: {unknown('value', fault['input'], options)}"
    messages = [_word(fault) for fault in group]
    first, *others = [f"{message[0].lower()}{message[1:]}" for message in messages]
    alternatives = [other.removeprefix("input should be ") for other in others]
    return f"{field}: {' or '.join([first, *alternatives])}{_got(fault)}"


def _word(fault: Any) -> str:
    if fault["type"] in OWN_WORDS:
        return OWN_WORDS[fault["type"]].format(**fault["ctx"])
    return str(fault["msg"]).removeprefix("Value error, ")


def _got(fault: Any) -> str:
    return "" if isinstance(fault["input"], Mapping) else f", got {fault['input']!r}"


def _fields_at(cls: type[Config], path: Sequence[str]) -> list[str]:
    found = _config_at(cls, path)
    return list(found.model_fields) if found else []


def _options_at(cls: type[Config], path: Sequence[str]) -> tuple[object, ...]:
    parent = _config_at(cls, path[:-1])
    field = parent.model_fields.get(path[-1]) if parent else None
    return typing.get_args(field.annotation) if field else ()


def _config_at(cls: type[Config], path: Sequence[str]) -> type[Config] | None:
    """Walk down to a nested config; a number counts in a list, a tag is the `name` of an alternative."""
    found = [cls]
    for part in path:
        tagged = [each for each in found if "name" in each.model_fields and each.model_fields["name"].default == part]
        field = found[0].model_fields.get(part) if found else None
        found = tagged or (found if part.isdigit() else _configs_in(field.annotation if field else None))
    return found[0] if found else None


def _configs_in(annotation: Any) -> list[type[Config]]:
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return [annotation]
    return [found for part in typing.get_args(annotation) for found in _configs_in(part)]
