"""JSON objects in files that people write: read strictly, refused in words that help."""

import json
import sys
from pathlib import Path
from typing import Any

from alsriaz.errors import SpecError
from alsriaz.platform.values import shown

_LONG_NUMBER = f"a whole number has more than {sys.get_int_max_str_digits()} digits."


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`.

    Raises:
        SpecError: it is not UTF-8, not JSON, not an object, or gives a key twice in one object.
    """
    try:
        value = json.loads(
            path.read_text(encoding="utf-8-sig"), object_pairs_hook=no_repeats, parse_constant=no_constant
        )
    except UnicodeDecodeError as error:
        raise SpecError(f"{path.name} is not UTF-8 text (byte {error.start}).") from None
    except json.JSONDecodeError as error:
        raise SpecError(f"{path.name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise SpecError(f"{path.name} is nested too deeply.") from None
    except ValueError as error:
        raise SpecError(f"{path.name}: {told_of(error)}") from None
    except OSError as error:
        raise SpecError(f"{path.name} can't be read: {error.strerror}.") from None
    if not isinstance(value, dict):
        raise SpecError(f"{path.name} holds {shown(value)}, expected a JSON object.")
    return value


def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs, as `object_pairs_hook`; ValueError where a key is given twice."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"{shown(name)} is given twice: keep one.")
        values[name] = value
    return values


def no_constant(name: str) -> None:
    """Refuse NaN and the infinities, as `parse_constant`."""
    raise ValueError(f"{name} is no JSON number.")


def told_of(error: ValueError) -> str:
    """Return why a JSON text that is spelled right can't be read, without Python's advice on how Python could."""
    return _LONG_NUMBER if str(error).startswith("Exceeds the limit") else str(error)[:200]
