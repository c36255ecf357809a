"""The fields of a JSON object in a request: which ones there may be, and the values that several tasks read."""

from collections.abc import Mapping, Sequence
from typing import Any

from alsriaz.errors import RequestError
from alsriaz.model.ids import parse_id, plain_ids
from alsriaz.platform.setting import whole_number
from alsriaz.platform.values import nearest, shown


def check_fields(record: Mapping[str, Any], known: Sequence[str], path: str = "") -> None:
    """Raise RequestError where an object has a field that is not `known`; `path` leads to the object."""
    for name in record:
        if name not in known:
            message = f"There is no field {shown(name)}{nearest(name, known)} Known are {', '.join(known)}."
            raise RequestError("unknown_field", message, f"{path}.{name[:80]}" if path else name[:80])


def an_id(value: Any, path: str) -> str:
    """Return the id that a field names."""
    try:
        return parse_id(value)
    except ValueError as error:
        raise RequestError("bad_value", f"{path} is {shown(value)}: {error}.", path) from None


def ids(value: Any, path: str, most: int) -> list[str]:
    """Return the ids of a list that has at least one, as given."""
    if not isinstance(value, list) or not value:
        raise RequestError("bad_value", f"{path} is {shown(value)}, expected a list of at least one id.", path)
    if len(value) > most:
        raise RequestError("bad_value", f"{path} has {len(value)} ids, expected at most {most}.", path)
    return value if plain_ids(value) else [an_id(entry, f"{path}[{number}]") for number, entry in enumerate(value)]


def whole(record: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    """Return the whole number in a field, None where it is absent."""
    value = record.get(name)
    if value is None:
        return None
    number = whole_number(value)
    if number is None or not least <= number <= most:
        message = f"{name} is {shown(value)}, expected a whole number from {least} to {most}."
        raise RequestError("bad_value", message, name)
    return number


def choice(record: Mapping[str, Any], name: str, choices: Sequence[str]) -> str:
    """Return one of `choices`, the first where the field is absent."""
    value = record.get(name)
    if value is None:
        return choices[0]
    if value not in choices:
        expected = " or ".join(f'"{one}"' for one in choices)
        raise RequestError("bad_value", f"{name} is {shown(value)}, expected {expected}.", name)
    return str(value)
