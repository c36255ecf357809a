"""Plain decimal numbers written as text: one definition for quantities, for items' attributes and for rules on them."""

import math
import re
from decimal import Decimal
from typing import Final

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_LONGEST: Final = 400
"""Characters: what `shortest_text` makes of any float has fewer."""


def parse_number(text: str) -> float:
    """Return the number that `text` is (``6``, ``6.0``, ``-1``, ``.5``, ``1e3``, spaces around it), or NaN.

    NaN also for a number that no float64 holds, and for ``nan``, ``inf``, ``1_000``, ``1,5`` and digits beyond ASCII.
    """
    text = text.strip()
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        return math.nan
    number = float(text)
    return number if math.isfinite(number) else math.nan


def shortest_text(number: float) -> str:
    """Return a finite number in the fewest plain digits that tell it: ``5`` for 5.0, ``2.5``, ``0.00001``."""
    return str(int(number)) if number == int(number) else format(Decimal(repr(number)), "f")
