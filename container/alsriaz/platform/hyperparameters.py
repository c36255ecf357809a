"""hyperparameters.json: settings as strings, in every spelling in which the SDKs send them."""

import ast
import json
from pathlib import Path
from typing import Any

from alsriaz.platform.json_file import read_object

_LONGEST_LITERAL = 10_000  # characters; the platform itself lets hyperparameters have 2,500


def read_hyperparameters(path: Path) -> dict[str, Any]:
    """Return the values behind the strings in `path`, by name; nothing where there is no such file.

    Raises:
        SpecError: it is no JSON object.
    """
    return {name: decoded(value) for name, value in read_object(path).items()} if path.is_file() else {}


def decoded(value: Any) -> Any:
    """Return the value behind a hyperparameter's string, in every spelling that the SDKs send; None for no value.

    They send text as it is (count) or as JSON ("count"), sometimes twice over; all else as JSON, or as Python's str()
    writes it (True, None, ['POST', 'M']): SageMaker Python SDK 2 does so for an Estimator, and its tuner.
    """
    for _ in range(3):
        if not isinstance(value, str):
            return value
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            break
    if isinstance(value, str):
        return None if value.strip(" ").lower() in ("", "none", "null") else _from_python(value)
    return value


def _from_python(text: str) -> Any:
    """Return the list or dict that str() wrote; the text itself where it is something else."""
    if not text.startswith(("[", "{")) or len(text) > _LONGEST_LITERAL:
        return text
    try:
        return ast.literal_eval(text)  # literals only: nothing is run
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text
