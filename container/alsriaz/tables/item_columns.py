"""Which column of a table of items is the id, and what the others are called and hold."""

import math
import re
from collections.abc import Sequence
from typing import Final

from alsriaz.errors import DataError
from alsriaz.platform.limits import MOST_COLUMNS, MOST_NAME_CHARACTERS
from alsriaz.platform.plain_number import parse_number
from alsriaz.platform.values import shown
from alsriaz.tables.columns import item_id_places, listed, may_be_item_id, offered, plain

DESCRIPTION: Final = "description"
MOST_GIVEN: Final = MOST_COLUMNS - 1  # the sales files may add the description

_CODE = re.compile(r"\+.*|-?0\d.*|-?\d{16,}|-?\d+[eE]\d+", re.ASCII | re.DOTALL)
_EXACT: Final = float(1 << 53)  # whole numbers up to it are exact in float64


def is_header(names: Sequence[str], wanted: str | int | None) -> bool:
    """Return whether these can be the names of a table of items: an id and something else."""
    return len(names) > 1 and bool(item_id_places(names, wanted))


def is_later_header(cells: Sequence[str], names: Sequence[str], wanted: str | int | None) -> bool:
    """Return whether a row below a header is one too, and another: of all its names, or with a name for an id.

    Args:
        cells: the row.
        names: the header's names, in the file's order.
        wanted: as for `find_id`.
    """
    if len(cells) < 2 or not may_be_item_id(cells, wanted):
        return False
    place = item_id_places(names, wanted)[0]
    return may_be_item_id(cells[place : place + 1], wanted) or set(map(plain, names)) <= set(map(plain, cells))


def find_id(names: Sequence[str], wanted: str | int | None, file: str) -> int:
    """Return the place of the id's column, having checked the names of all.

    Args:
        names: the columns' names, in the file's order.
        wanted: what the setting `columns` says of the item in sales files.
        file: the file's name, for errors.

    Raises:
        DataError: there is no such column or more than one, there is nothing beside it or too much, or a name is
            missing, too long, or there twice.
    """
    places = item_id_places(names, wanted)
    if not places:
        raise DataError(
            f"{file}: there is no column for the item's id. Recognised are {offered('item')}, id and the like (case, "
            f"spaces, _ and - make no difference); rename one of {listed(names)}"
        )
    if len(places) > 1:
        matching = " and ".join(shown(names[place], 40) for place in places)
        raise DataError(f"{file}: the columns {matching} could each be the item's id: rename all but one")
    _check_names(names, file)
    return places[0]


def _check_names(names: Sequence[str], file: str) -> None:
    if not 2 <= len(names) <= MOST_GIVEN + 1:
        raise DataError(
            f"{file} has {len(names)} column(s): expected the item's id and 1 to {MOST_GIVEN} others, "
            "such as description, department or price"
        )
    seen: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        if not 1 <= len(name) <= MOST_NAME_CHARACTERS:
            told = f"a name of {len(name)} characters, {shown(name, 40)}" if name else "no name"
            raise DataError(
                f"{file}: column {number} has {told}: expected 1 to {MOST_NAME_CHARACTERS} characters, "
                "rename the column or leave it out"
            )
        if name.casefold() in seen:
            raise DataError(
                f"{file}: the columns {shown(seen[name.casefold()])} and {shown(name)} have one name: rename one"
            )
        seen[name.casefold()] = name


def number_of(text: str, *, typed: bool) -> float:
    """Return the number that a value is, or NaN where it is none or has the look of a code.

    Codes have a zero before another digit (007), begin with ``+``, are whole numbers of more than 15 digits, or have an
    E between digits alone (1E5; who means the number writes 1E+05).

    Args:
        text: the value, trimmed.
        typed: the file itself says that it is a number; only whole numbers that float64 would blur are none then.
    """
    number = parse_number(text)
    if typed:
        return math.nan if abs(number) >= _EXACT and text.removeprefix("-").isdecimal() else number
    return math.nan if _CODE.fullmatch(text) else number
