"""What a value may be: one vocabulary for requests, rules, settings and the platform's own files.

Each reader takes a value as JSON gives it and the path that leads to it, and returns what it means, or raises BadValue
with a sentence that names the path, quotes the value and says what was expected. null means absent everywhere; who
reads a field looks for that first.
"""

import difflib
import functools
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Generic, TypeVar

from alsriaz.errors import BadValue
from alsriaz.platform.limits import FORBIDDEN_IN_IDS, MOST_COUNT, MOST_ID_BYTES

T = TypeVar("T")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of value.

    Attributes:
        expected: ends the sentence "expected ...", in errors and in the docs.
        parse: turns a value into what it means; raises ValueError or OverflowError for what it can't take.
    """

    expected: str
    parse: Callable[[Any], T]

    def read(self, value: Any, path: str) -> T:
        """Return what the value at `path` means; BadValue where it is of another kind."""
        try:
            return self.parse(value)
        except (ValueError, OverflowError):
            raise unexpected(value, path, self.expected) from None


def unexpected(value: Any, path: str, expected: str) -> BadValue:
    """Return the error for a value where something else was expected."""
    return BadValue(path, f"{path} is {shown(value)}, expected {expected}.")


# ---- Kinds ----------------------------------------------------------------------------------------------------------


def whole(least: int, most: int, of: str = "", *, expected: str = "") -> Kind[int]:
    """Return the kind of whole numbers from `least` to `most`, 2.0 included; `of` says what they count."""

    def parse(value: Any) -> int:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not least <= value <= most:
            raise ValueError
        return value

    counted = f" of {of}" if of else ""
    return Kind(expected or f"a whole number{counted} from {least} to {most}", parse)


def number(least: float, most: float, *, above: bool = False, expected: str = "") -> Kind[float]:
    """Return the kind of numbers from `least` (or `above` it) to `most`."""

    def parse(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError
        if not least <= value <= most or (above and value == least):  # neither holds for NaN
            raise ValueError
        return float(value)

    return Kind(expected or f"a number from {least:g} to {most:g}", parse)


def one_of(*names: str, quoted: bool = False, expected: str = "") -> Kind[str]:
    """Return the kind of texts that are one of `names`; the error quotes them as JSON has them where `quoted`."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError
        return value

    listed = " or ".join(f'"{name}"' for name in names) if quoted else "one of " + ", ".join(names)
    return Kind(expected or listed, parse)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


FLAG = Kind("true or false", _flag)


def _share_or_count(value: Any) -> Fraction:
    if isinstance(value, float) and 0 < value < 1:
        return Fraction(repr(value))  # as written: 0.1 is a tenth
    return Fraction(whole(0, MOST_COUNT).parse(value))


SHARE_OR_COUNT = Kind(f"a whole number of items from 0 to {MOST_COUNT}, or a share of them below 1", _share_or_count)


def spelled(kind: Kind[T]) -> Kind[T]:
    """Return a kind of numbers that may also be written as text, as in hyperparameters and the environment."""
    return Kind(kind.expected, lambda value: kind.parse(_spelled_number(value) if isinstance(value, str) else value))


def _spelled_number(text: str) -> int | float:
    if re.fullmatch(r"\s*[+-]?\d{1,30}\s*", text, re.ASCII):
        return int(text)  # not by way of a float: a seed has 64 bits
    if "_" in text:
        raise ValueError  # Python would take 1_0 for 10
    return float(text)


_WORDS = {"true": True, "1": True, "false": False, "0": False}


def _spelled_flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if not isinstance(value, int | str) or word not in _WORDS:
        raise ValueError
    return _WORDS[word]


SPELLED_FLAG = Kind(FLAG.expected, _spelled_flag)
"""true, false, and the ways in which SDKs spell them: "True", "false", 1, "0"."""


def optional(kind: Kind[T]) -> Kind[T | None]:
    """Return a kind that may also be nothing: null, "null", "none" or an empty text."""

    def parse(value: Any) -> T | None:
        if value is None or (isinstance(value, str) and value.strip().lower() in ("", "none", "null")):
            return None
        return kind.parse(value)

    return Kind(kind.expected, parse)


# ---- Ids, lists, objects --------------------------------------------------------------------------------------------


def parse_id(value: Any) -> str:
    """Return the id that a JSON value names: text, trimmed, or a whole number, which means its digits.

    Raises:
        ValueError: anything else, an empty text, or one of more than 256 bytes; it says what was expected.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("expected an id as text")
    text = value.strip() if isinstance(value, str) else str(value)
    if not text:
        raise ValueError("expected an id, which is never empty")
    if text.isascii() and text.isprintable() and len(text) <= MOST_ID_BYTES:
        return text  # as nearly all are
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("expected an id in Unicode text, without lone surrogates") from None
    if not FORBIDDEN_IN_IDS.isdisjoint(text):
        raise ValueError("expected an id on one line, without NUL")
    if size > MOST_ID_BYTES:
        raise ValueError(f"expected an id of at most {MOST_ID_BYTES} UTF-8 bytes, this one has {size}")
    return text


def an_id(value: Any, path: str) -> str:
    """Return the id that a value names."""
    try:
        return parse_id(value)
    except ValueError as error:
        raise BadValue(path, f"{path} is {shown(value)}: {error}.") from None


def ids(values: Sequence[Any], path: str) -> list[str]:
    """Return the ids that the entries of a list name, as given."""
    if _plain_ids(values):
        return list(values)
    return [an_id(value, f"{path}[{place}]") for place, value in enumerate(values)]


def _plain_ids(values: Sequence[Any]) -> bool:
    """True where `parse_id` would return every value as it is; False where it takes a closer look to tell."""
    try:
        joined = "".join(values)
    except TypeError:
        return False
    if not joined.isascii() or not joined.isprintable() or " " in joined:
        return False
    return not values or (all(values) and max(map(len, values)) <= MOST_ID_BYTES)


def a_list(value: Any, path: str, most: int, of: str) -> list[Any]:
    """Return a list of at most `most` values; `of` says what they are."""
    if not isinstance(value, list):
        raise unexpected(value, path, f"a list of {of}")
    if len(value) > most:
        raise BadValue(path, f"{path} has {len(value)} entries, expected at most {most}.")
    return value


def unique_ids(value: Any, path: str, most: int, of: str = "item ids") -> tuple[str, ...]:
    """Return the ids of a list of at most `most`, each once, in the order given."""
    return tuple(dict.fromkeys(ids(a_list(value, path, most, of), path)))


def an_object(value: Any, path: str, fields: Sequence[str]) -> Mapping[str, Any]:
    """Return an object that has no other fields than these."""
    if not isinstance(value, dict):
        raise unexpected(value, path, f"an object with {', '.join(fields)}")
    for field in value:
        if field not in fields:
            message = f"{path} has no field {shown(field)}{nearest(field, fields)}"
            raise BadValue(f"{path}.{field[:80]}", message, "unknown_field")
    return value


def check_fields(given: Mapping[str, Any], known: Collection[str], path: str = "") -> None:
    """Raise BadValue where the object at `path` (empty for a whole record) has a field that is not `known`."""
    for name in given:
        if name not in known:
            message = f"There is no field {shown(name)}{nearest(name, known)} Known are {', '.join(known)}."
            raise BadValue(f"{path}.{name[:80]}" if path else name[:80], message, "unknown_field")


# ---- Words for messages ---------------------------------------------------------------------------------------------


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
