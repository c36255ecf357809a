"""Plain, aligned tables that fit a terminal of 100 columns."""

import unicodedata
from collections.abc import Sequence

WIDTH = 100
GAP = "  "


def table(header: Sequence[str], rows: Sequence[Sequence[object]], *, indent: str = "  ") -> str:
    """Return the rows below their header, in aligned columns; numbers stand right, text stands left.

    Where the table would be wider than `WIDTH`, its widest text column is cut, each cut text ending in ``...``.

    Args:
        header: one name a column; "" leaves a column without a name.
        rows: as many values a row as there are names. None is shown as ``-``, whole numbers with thousands separators.
        indent: stands before each line.
    """
    cells = [[shown(value) for value in row] for row in rows]
    widths = [max(map(text_width, column)) for column in zip(header, *cells, strict=True)]
    over = len(indent) + sum(widths) + len(GAP) * (len(widths) - 1) - WIDTH
    if over > 0:
        widest = widths.index(max(widths))
        widths[widest] = max(widths[widest] - over, 3)
    right = [all(isinstance(row[column], int | float | None) for row in rows) for column in range(len(header))]
    lines = [header, ["-" * width for width in widths], *cells] if any(header) else cells
    return "\n".join(indent + _line(line, widths, right) for line in lines)


def shown(value: object) -> str:
    """Return a value as a cell; what can't be printed becomes ``?``, so that no id breaks the table."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))


def text_width(text: str) -> int:
    """Return how many columns a terminal gives `text`: two for a wide letter, none for a combining mark."""
    return sum(_letter_width(letter) for letter in text)


def cut(text: str, width: int) -> str:
    """Return `text` in at most `width` columns, ending in ``...`` where something was cut off."""
    if text_width(text) <= width:
        return text
    while text_width(text) > width - 3:
        text = text[:-1]
    return text + "..."


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for cell, width, at_right in zip(cells, widths, right, strict=True):
        text = cut(cell, width)
        space = " " * (width - text_width(text))
        padded.append(space + text if at_right else text + space)
    return GAP.join(padded).rstrip()


def _letter_width(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
