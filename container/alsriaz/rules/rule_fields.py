"""How the fields of rules are read from JSON, one kind of value each; null means absent everywhere."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import isfinite
from typing import Any

from alsriaz.errors import RuleError
from alsriaz.model.ids import parse_id, plain_ids
from alsriaz.platform.setting import whole_number
from alsriaz.platform.values import nearest, shown

MOST_ITEMS = 10**9
MOST_CAPS = 8
MOST_FACTOR = 100.0


def section(given: Mapping[str, Any], name: str, fields: Sequence[str]) -> Mapping[str, Any]:
    """Return the object in the field `name`, empty where it is absent; RuleError where it has other fields."""
    value = given.get(name)
    if value is None:
        return {}
    return an_object(value, name, fields)


def an_object(value: Any, path: str, fields: Sequence[str]) -> Mapping[str, Any]:
    """Return an object that has no other fields than these."""
    if not isinstance(value, dict):
        raise RuleError(path, f"{path} is {shown(value)}, expected an object with {', '.join(fields)}.")
    for field in value:
        if field not in fields:
            raise RuleError(f"{path}.{field[:80]}", f"{path} has no field {shown(field)}{nearest(field, fields)}")
    return value


def ids(given: Any, path: str, most: int, kind: str = "item") -> list[str] | None:
    """Return the ids of a list, each once, in order; None where it is absent."""
    values = a_list(given, path, most, f"{kind} ids")
    if values is None:
        return None
    parsed = values if plain_ids(values) else [an_id(value, f"{path}[{n}]") for n, value in enumerate(values)]
    return list(dict.fromkeys(parsed))


def a_list(given: Any, path: str, most: int, of: str) -> list[Any] | None:
    """Return a list of at most `most` values, None where it is absent."""
    if given is None:
        return None
    if not isinstance(given, list):
        raise RuleError(path, f"{path} is {shown(given)}, expected a list of {of}.")
    if len(given) > most:
        raise RuleError(path, f"{path} has {len(given)} entries, expected at most {most}.")
    return given


def an_id(value: Any, path: str) -> str:
    """Return the id that a value names."""
    try:
        return parse_id(value)
    except ValueError as error:
        raise RuleError(path, f"{path} is {shown(value)}: {error}.") from None


def a_count(value: Any, path: str, of: str, least: int = 0, most: int = MOST_ITEMS) -> int | None:
    """Return a whole number, None where it is absent."""
    if value is None:
        return None
    number = whole_number(value) if not isinstance(value, float) or isfinite(value) else None
    if number is None or not least <= number <= most:
        raise RuleError(path, f"{path} is {shown(value)}, expected a whole number of {of} from {least} to {most}.")
    return number


def one_of(value: Any, path: str, choices: Sequence[str]) -> str | None:
    """Return one of `choices`, None where it is absent."""
    if value is not None and value not in choices:
        expected = " or ".join(f'"{choice}"' for choice in choices)
        raise RuleError(path, f"{path} is {shown(value)}, expected {expected}.")
    return None if value is None else str(value)


def a_flag(value: Any, path: str) -> bool | None:
    """Return true or false, None where it is absent."""
    if value is not None and not isinstance(value, bool):
        raise RuleError(path, f"{path} is {shown(value)}, expected true or false.")
    return value


def a_share_or_count(value: Any, path: str) -> Fraction | None:
    """Return a whole number of items, or a share of them below 1; None where it is absent."""
    if value is None:
        return None
    number = whole_number(value) if not isinstance(value, float) or isfinite(value) else None
    if number is not None and 0 <= number <= MOST_ITEMS:
        return Fraction(number)
    if isinstance(value, float) and 0 < value < 1:
        return Fraction(repr(value))  # as written: 0.1 is a tenth
    raise RuleError(
        path,
        f"{path} is {shown(value)}, expected a whole number of items from 0 to {MOST_ITEMS}, "
        "or a share of them below 1.",
    )


def a_factor(value: Any, path: str) -> float:
    """Return a number from 0 to `MOST_FACTOR`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_FACTOR:
        raise RuleError(path, f"{path} is {shown(value)}, expected a number from 0 to {MOST_FACTOR:g}.")
    return float(value)


def caps(value: Any, path: str) -> dict[str, int] | None:
    """Return how many items of one value of an attribute a list may hold, by attribute; None where it is absent."""
    if value is None:
        return None
    if not isinstance(value, dict):
        message = 'expected an object such as {"department": 2}: how many items of one value a list may hold.'
        raise RuleError(path, f"{path} is {shown(value)}, {message}")
    if len(value) > MOST_CAPS:
        raise RuleError(path, f"{path} has {len(value)} attributes, expected at most {MOST_CAPS}.")
    counts = {name: a_count(count, f"{path}.{name[:80]}", "items", least=1) for name, count in value.items()}
    return {name: count for name, count in counts.items() if count is not None}
