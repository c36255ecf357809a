"""Items' attributes in the model folder: attributes.json and plain arrays, there only where the shop gave any."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from alsriaz.errors import ModelError, SpecError
from alsriaz.model.attributes import MISSING, Attributes, Column, ItemTable, NumberValues, TextValues
from alsriaz.model.ids import IdTable
from alsriaz.platform.json_file import read_object
from alsriaz.platform.limits import MOST_COLUMNS, MOST_NAME_CHARACTERS

ATTRIBUTES_NAME: Final = "attributes.json"

Array = npt.NDArray[Any]
_UNSOLD: Final = ("unsold_item_id_text", "unsold_item_id_offsets")
_DTYPES: Final = {"codes": "<i4", "text": "|u1", "offsets": "<i8", "numbers": "<f8"}
_ARRAYS: Final = {"text": ("text", "offsets"), "number": ("numbers",)}
"""What holds the distinct values of an attribute, by its kind."""


def attribute_arrays(table: ItemTable) -> dict[str, Array]:
    """Return the arrays of an item table by the names of their files, without ``.npy``."""
    arrays: dict[str, Array] = dict(zip(_UNSOLD, table.unsold_ids.arrays, strict=True))
    for number, column in enumerate(table.attributes.columns):
        for name, array in {"codes": column.codes, **column.values.arrays}.items():
            arrays[_file_name(number, name)] = array.astype(_DTYPES[name], copy=False)
    return arrays


def attributes_as_json(attributes: Attributes) -> dict[str, Any]:
    """Return what attributes.json holds: each attribute's name and kind, in order."""
    return {"columns": [{"name": column.name, "kind": column.values.kind} for column in attributes.columns]}


def read_item_table(folder: Path, mapped: Callable[[str], Array], n_items: int) -> ItemTable:
    """Return the item table of a model folder that has attributes.json.

    Args:
        folder: the model folder.
        mapped: returns an array of the folder by its name, without ``.npy``; ModelError where it can't.
        n_items: how many items the model has scores for.

    Raises:
        ModelError: the files don't fit together, or attributes.json is not as it was written.
    """
    try:
        named = _named(read_object(folder / ATTRIBUTES_NAME))
    except SpecError as error:
        raise ModelError(f"The model can't be read: {error}") from None
    text, offsets = (mapped(name) for name in _UNSOLD)
    _check(_table_problems(*_UNSOLD, text, offsets))
    unsold_ids = IdTable(text, offsets)
    n_rows = n_items + len(unsold_ids)
    columns = [_column(number, name, kind, mapped, n_rows) for number, (name, kind) in enumerate(named.items())]
    return ItemTable(Attributes(columns, n_rows), unsold_ids)


def _named(told: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes' kinds by name."""
    columns = told.get("columns")
    named: dict[str, str] = {}
    for column in columns if isinstance(columns, list) and len(columns) <= MOST_COLUMNS else [None]:
        name, kind = (column.get("name"), column.get("kind")) if isinstance(column, dict) else (None, None)
        if not isinstance(name, str) or not 1 <= len(name) <= MOST_NAME_CHARACTERS or kind not in tuple(_ARRAYS):
            raise ModelError(
                f"The model's {ATTRIBUTES_NAME} doesn't tell its attributes: it was changed after training."
            )
        if name in named:
            raise ModelError(f"The model's {ATTRIBUTES_NAME} has {name!r} twice: it was changed after training.")
        named[name] = kind
    return named


def _column(number: int, name: str, kind: str, mapped: Callable[[str], Array], n_rows: int) -> Column:
    files = {part: _file_name(number, part) for part in ("codes", *_ARRAYS[kind])}
    arrays = {part: mapped(file) for part, file in files.items()}
    for part, file in files.items():
        _check(_dtype_problems(file, arrays[part], _DTYPES[part]))
    values: TextValues | NumberValues
    if kind == "text":
        _check(_table_problems(files["text"], files["offsets"], arrays["text"], arrays["offsets"]))
        values = TextValues(arrays["text"], arrays["offsets"])
    else:
        _check(_number_problems(files["numbers"], arrays["numbers"]))
        values = NumberValues(arrays["numbers"])
    _check(_code_problems(files["codes"], arrays["codes"], n_rows, len(values)))
    return Column(name, arrays["codes"], values)


def _file_name(number: int, part: str) -> str:
    return f"attribute_{number}_{part}"


def _check(problems: Iterator[str]) -> None:
    problem = next(problems, None)
    if problem:
        raise ModelError(f"The model's attributes don't fit together: {problem}. Train again.")


def _dtype_problems(file: str, array: Array, dtype: str) -> Iterator[str]:
    if array.dtype != np.dtype(dtype):
        yield f"{file} holds {array.dtype}, expected {np.dtype(dtype)}"
    elif array.ndim != 1:
        yield f"{file} has {array.ndim} dimensions, expected 1"


def _table_problems(text_file: str, offsets_file: str, text: Array, offsets: Array) -> Iterator[str]:
    yield from _dtype_problems(text_file, text, _DTYPES["text"])
    yield from _dtype_problems(offsets_file, offsets, _DTYPES["offsets"])
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(text) or np.any(offsets[1:] < offsets[:-1]):
        yield f"{offsets_file} doesn't cut the {len(text):,} bytes of {text_file} into texts"


def _number_problems(file: str, numbers: Array) -> Iterator[str]:
    if not np.isfinite(numbers).all() or np.any(numbers[1:] <= numbers[:-1]):
        yield f"{file} doesn't hold finite numbers, ascending"


def _code_problems(file: str, codes: Array, n_rows: int, n_values: int) -> Iterator[str]:
    if codes.shape != (n_rows,):
        yield f"{file} has shape {codes.shape}, expected {(n_rows,)}"
    elif n_rows and not MISSING <= codes.min() <= codes.max() < n_values:
        yield f"{file} has codes from {codes.min()} to {codes.max()}, expected {MISSING} to {n_values - 1}"
