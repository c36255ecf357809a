"""Conditions on items' attributes: read from JSON, checked, put in one form.

    "where": {"department": ["GROCERY", "PASTRY"], "price": {"below": 5}}

An item matches where it meets all conditions. What a condition means for an item is told in `model.attributes`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from alsriaz.errors import BadValue
from alsriaz.platform.limits import MOST_CONDITION_VALUES, MOST_CONDITIONS, MOST_VALUE_BYTES
from alsriaz.platform.plain_number import shortest_text
from alsriaz.platform.values import nearest, shown

BOUNDS: Final = ("below", "above", "from", "to")
_CONDITION: Final = "expected a value, a list of values, or an object with " + ", ".join(BOUNDS[:-1]) + " or to"


@dataclass(frozen=True)
class Condition:
    """What one attribute must be; equal conditions are equal however they were written.

    Attributes:
        column: the attribute's name.
        any_of: ascending texts of which the value must be one, numbers and booleans among them as they are written;
            none matches nothing. None where the condition is bounds.
        below: the value must be less. None says nothing, here as in the other bounds.
        above: the value must be more.
        least: the value must be this or more (``from``).
        most: the value must be this or less (``to``).
    """

    column: str
    any_of: tuple[str, ...] | None = None
    below: float | None = None
    above: float | None = None
    least: float | None = None
    most: float | None = None

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds that the condition has, by their names in JSON."""
        named = zip(BOUNDS, (self.below, self.above, self.least, self.most), strict=True)
        return {name: bound for name, bound in named if bound is not None}


Where = tuple[Condition, ...]
"""Conditions that must all hold, at least one, by ascending column."""


def parse_where(value: Any, path: str) -> Where:
    """Return the conditions of a JSON object {attribute: condition}; a condition that is null says nothing.

    Args:
        value: the object. That null means no conditions at all is the caller's to know.
        path: the field it stands in, such as ``include.where``.

    Raises:
        BadValue: there is no condition, or too many of them, or one is mistyped, too long or empty.
    """
    if not isinstance(value, dict):
        raise BadValue(path, f'{path} is {shown(value)}, expected an object such as {{"department": ["GROCERY"]}}.')
    given = {column: condition for column, condition in value.items() if condition is not None}
    if not given:
        raise BadValue(path, f"{path} has no condition, so that every item would match: leave it out, or name one.")
    if len(given) > MOST_CONDITIONS:
        raise BadValue(path, f"{path} has {len(given)} conditions, expected at most {MOST_CONDITIONS}.")
    return tuple(_condition(column, given[column], f"{path}.{column[:80]}") for column in sorted(given))


def text_size(where: Where) -> int:
    """Return how many characters the values of conditions have together."""
    return sum(len(text) for one in where for text in one.any_of or ())


def where_as_json(where: Where) -> dict[str, Any]:
    """Return what `parse_where` reads as these conditions again."""
    return {one.column: one.bounds if one.any_of is None else list(one.any_of) for one in where}


def _condition(column: str, given: Any, path: str) -> Condition:
    if isinstance(given, dict):
        return _bounded(column, given, path)
    if not isinstance(given, list):
        return Condition(column, (_value(given, path, _CONDITION),))
    if len(given) > MOST_CONDITION_VALUES:
        raise BadValue(path, f"{path} has {len(given)} values, expected at most {MOST_CONDITION_VALUES}.")
    expected = "expected text, a number, true or false"
    values = {_value(value, f"{path}[{number}]", expected) for number, value in enumerate(given)}
    return Condition(column, tuple(sorted(values)))


def _bounded(column: str, given: Mapping[str, Any], path: str) -> Condition:
    for name in given:
        if name not in BOUNDS:
            raise BadValue(f"{path}.{name[:80]}", f"{path} has no field {shown(name)}{nearest(name, BOUNDS)}")
    bounds = [_bound(given.get(name), f"{path}.{name}") for name in BOUNDS]
    if all(bound is None for bound in bounds):
        raise BadValue(path, f"{path} has no bound: {_CONDITION}.")
    return Condition(column, None, *bounds)


def _bound(value: Any, path: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(path, f"{path} is {shown(value)}, expected a number.")
    return _finite(value, path) + 0.0  # -0.0 is 0.0


def _finite(value: int | float, path: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadValue(path, f"{path} is {shown(value)}, expected a finite number.")
    return number


def _value(value: Any, path: str, expected: str) -> str:
    """Return a value as the text that an attribute of text would have."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        number = _finite(value, path)
        return str(value) if isinstance(value, int) else shortest_text(number)
    if not isinstance(value, str):
        raise BadValue(path, f"{path} is {shown(value)}, {expected}.")
    text = value.strip()
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadValue(path, f"{path} is {shown(value)}, expected Unicode text without lone surrogates.") from None
    if size > MOST_VALUE_BYTES:
        raise BadValue(path, f"{path} has {size} UTF-8 bytes, expected at most {MOST_VALUE_BYTES}.")
    return text
