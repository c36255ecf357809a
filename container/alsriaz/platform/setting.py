"""A setting is one row: the row parses, validates, fills in the default and documents."""

import difflib
import functools
import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Setting:
    """One setting of a training run or of the server.

    Attributes:
        name: its key in als_spec.json or hyperparameters.json, or its environment variable.
        parse: turns what the caller wrote into the value; raises ValueError for what it can't take.
        expected: ends the sentence "expected ...", for error messages and docs/settings.md.
        default: the value where the caller says nothing.
        meaning: one line for docs/settings.md.
        aliases: other accepted spellings of the name.
    """

    name: str
    parse: Callable[[Any], Any]
    expected: str
    default: Any
    meaning: str
    aliases: tuple[str, ...] = ()


def markdown_table(rows: Iterable[Setting]) -> str:
    """Return `rows` as a Markdown table for docs/settings.md, in their order, each line ended."""
    lines = ["| name | default | expected | meaning |", "|---|---|---|---|"]
    for row in rows:
        names = " or ".join(f"`{name}`" for name in (row.name, *row.aliases))
        default = row.default if isinstance(row.default, str) else json.dumps(row.default)
        cells = (names, "none" if row.default in (None, (), {}) else f"`{default}`", row.expected, row.meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that refuses `name`: ``, did you mean 'x'?``, or a full stop if none is like it."""
    return _nearest(name[:80], tuple(known))


@functools.lru_cache(maxsize=1024)  # a batch may make the same mistake in each of its records
def _nearest(name: str, known: tuple[str, ...]) -> str:
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f", did you mean {found[0]!r}?" if found else "."


def shown(value: object, most: int = 80) -> str:
    """Return `value` quoted for a message, cut to `most` characters so that no input can flood a log."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)  # people write these in JSON
    if isinstance(value, str | bytes | list):
        value = value[: most + 1]  # of millions of entries no more are looked at than are shown
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested to the limit, or a number of thousands of digits
        text = f"a {type(value).__name__} that is too large to show"
    return text if len(text) <= most else text[: most - 3] + "..."


def whole_number(value: Any) -> int | None:
    """Return the whole number that a JSON value is, 2.0 included, or None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if isinstance(value, int) or value.is_integer() else None


def whole(low: int, high: int) -> Callable[[Any], int]:
    """Return a parser of whole numbers from `low` to `high`; takes 10, 10.0, "10" and "10.0"."""

    def parse(value: Any) -> int:
        number = _number(value)
        if number != int(number) or not low <= number <= high:
            raise ValueError
        return int(number)

    return parse


def real(low: float, high: float, *, above_low: bool = False) -> Callable[[Any], float]:
    """Return a parser of finite numbers from `low` (itself left out with `above_low`) to `high`."""

    def parse(value: Any) -> float:
        number = float(_number(value))
        if not low <= number <= high or (above_low and number == low):
            raise ValueError
        return number

    return parse


def choice(*names: str) -> Callable[[Any], str]:
    """Return a parser that takes one of `names` and nothing else."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError
        return value

    return parse


def boolean(value: Any) -> bool:
    """Parse true, false, and the ways in which SDKs spell them: "True", "false", 1, "0"."""
    words = {"true": True, "1": True, "false": False, "0": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, int | str) and str(value).lower() in words:
        return words[str(value).lower()]
    raise ValueError


def optional(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `parse` that also takes nothing: null, "null", "none" or an empty text."""

    def parse_or_none(value: Any) -> Any:
        if value is None or (isinstance(value, str) and value.strip().lower() in ("", "none", "null")):
            return None
        return parse(value)

    return parse_or_none


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    if isinstance(value, str):
        if re.fullmatch(r"\s*[+-]?\d{1,30}\s*", value, re.ASCII):
            return int(value)  # not by way of a float: a seed has 64 bits
        if "_" in value:
            raise ValueError  # Python would take 1_0 for 10
    number = value if isinstance(value, int) else float(value)
    if not math.isfinite(number):
        raise ValueError
    return number
