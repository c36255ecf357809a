"""A column's texts as codes or numbers: each distinct text is looked at once, however many rows have it."""

import math
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from alsriaz.platform.limits import FORBIDDEN_IN_IDS as FORBIDDEN
from alsriaz.platform.limits import MOST_ID_BYTES as MOST_BYTES
from alsriaz.platform.limits import MOST_VALUE_BYTES
from alsriaz.platform.plain_number import parse_number

T = TypeVar("T", bound=np.generic)
Codes = NDArray[np.int32]

EMPTY: Final = -1
NO_ID: Final = -2
TOO_LONG: Final = -2

_DOT_ZERO = re.compile(r"\d+\.0", re.ASCII)
_QUANTITY_LENGTH = 100


class IdTexts(dict[str, int]):
    """The ids of one column of one file: raw text to code; codes count up in order of appearance.

    Attributes:
        texts: the trimmed id of each code.
        dot_zero: True while every value seen was ``digits.0`` or empty: what a table of floats makes of whole numbers.
    """

    def __init__(self, *, numeric: bool = False) -> None:
        """Begin without ids. The digits of a `numeric` column say nothing about ``.0``: `dot_zero` stays True."""
        super().__init__()
        self._numeric = numeric
        self.texts: list[str] = []
        self.dot_zero = True

    def __missing__(self, raw: str) -> int:
        text = raw.strip()
        if len(text) > MOST_BYTES or len(text.encode()) > MOST_BYTES or not FORBIDDEN.isdisjoint(text):
            self.dot_zero = False
            return NO_ID  # and not remembered: such texts may be long and many
        if text != raw:
            return self[text]
        if not text:
            code = EMPTY
        else:
            code = len(self.texts)
            self.texts.append(text)
            self.dot_zero = self.dot_zero and (self._numeric or _DOT_ZERO.fullmatch(text) is not None)
        self[text] = code
        return code

    def codes(self, column: Any) -> Codes:
        """Return the code of each value of an Arrow string column: EMPTY, or NO_ID where a text is no id."""
        return each_distinct(column, self.__getitem__, np.int32)


class ValueTexts(dict[str, int]):
    """The values of one column that tells about items: raw text to code; codes count up in order of appearance.

    Attributes:
        texts: the trimmed value of each code.
        too_many: True once there were more distinct values than were allowed; those beyond are TOO_LONG.
    """

    def __init__(self, most: int | None = None) -> None:
        """Begin without values, `most` distinct ones of which are allowed."""
        super().__init__()
        self.texts: list[str] = []
        self.too_many = False
        self._most = most

    def __missing__(self, raw: str) -> int:
        text = raw.strip()
        if len(text) > MOST_VALUE_BYTES or len(text.encode()) > MOST_VALUE_BYTES:
            return TOO_LONG  # and not remembered: such texts may be many
        if text != raw:
            return self[text]
        self.too_many = self.too_many or (bool(text) and len(self.texts) == self._most)
        if self.too_many:
            return TOO_LONG
        code = len(self.texts) if text else EMPTY
        if text:
            self.texts.append(text)
        self[text] = code
        return code

    def codes(self, column: Any) -> Codes:
        """Return the code of each value of an Arrow string column: EMPTY, or TOO_LONG."""
        return each_distinct(column, self.__getitem__, np.int32)


def quantities(column: Any) -> NDArray[np.float64]:
    """Return the numbers in an Arrow string column; NaN where a text is no finite plain decimal number."""
    return each_distinct(column, parse_quantity, np.float64)


def parse_quantity(text: str) -> float:
    """Return the number that `text` is (``6``, ``6.0``, ``-1``, ``.5``, ``1e3``), or NaN."""
    text = text.strip()
    return parse_number(text) if len(text) <= _QUANTITY_LENGTH else math.nan


def each_distinct(
    column: Any, function: Callable[[str], float], dtype: type[T], simpler: Callable[[Any], Any] | None = None
) -> NDArray[T]:
    """Return `function` of every value of an Arrow string column without nulls, called once per distinct value.

    Args:
        column: shape (n,).
        function: what a text becomes.
        dtype: the type of the result, shape (n,).
        simpler: makes an Arrow array of distinct texts simpler first, so that fewer distinct ones are left.
    """
    encoded = column.dictionary_encode()
    if simpler:
        results = each_distinct(simpler(encoded.dictionary), function, dtype)
    else:
        texts = encoded.dictionary.to_pylist()
        results = np.fromiter(map(function, texts), dtype, len(texts))
    # Not to_numpy(), which imports pandas: half a second.
    return results[np.asarray(np.from_dlpack(encoded.indices), np.int32)]
