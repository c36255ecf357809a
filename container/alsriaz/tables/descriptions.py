"""What sales files call their items: for each item the description that most of its rows have."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from alsriaz.tables.texts import Codes, ValueTexts

MOST_DESCRIPTIONS: Final = 1_000_000
"""A column with more distinct texts tells about rows, not about items, and would fill the memory."""


class Descriptions:
    """The descriptions of all kept rows of all files, a code each; no codes are kept while no file has any."""

    def __init__(self) -> None:
        """Begin without rows."""
        self._codes: dict[str, int] = {}
        self._chunks: list[Codes] = []
        self._undescribed = 0  # rows since the last of `_chunks`
        self._too_many = False

    def of_file(self, texts: ValueTexts) -> Codes:
        """Take in a file's texts; return for each of its codes the code here, and -1 for the codes below 0."""
        codes = self._codes
        here = np.full(len(texts.texts) + 2, -1, np.int32)  # the last two are those of EMPTY and TOO_LONG
        here[:-2] = [codes.setdefault(text, len(codes)) for text in texts.texts]
        self._too_many = self._too_many or texts.too_many or len(codes) > MOST_DESCRIPTIONS
        if self._too_many:
            self._codes, self._chunks = {}, []
        return here

    def add(self, described: Codes, chunk: Codes | None, n_rows: int) -> None:
        """Take in the next `n_rows` rows, whose codes in their file are `chunk`."""
        if self._too_many:
            return
        if chunk is None:
            self._undescribed += n_rows
            return
        if self._undescribed:
            self._chunks.append(np.full(self._undescribed, -1, np.int32))
            self._undescribed = 0
        self._chunks.append(described[chunk])

    def decided(self, items: Codes, n_items: int, kept: NDArray[np.bool_]) -> list[str] | None:
        """Return each item's most frequent description, the first in code-point order of equally frequent ones.

        Args:
            items: shape (n,), the items of the rows that were kept in the end.
            n_items: how many items there are.
            kept: which of the rows taken in these are.

        Returns:
            Shape (n_items,), empty texts where an item has none; None where no row has one, or too many differ.
        """
        if not self._chunks or not self._codes:
            return None
        codes = np.concatenate([*self._chunks, np.full(self._undescribed, -1, np.int32)])[kept]
        self._chunks.clear()
        texts = sorted(self._codes)
        place = np.empty(len(texts), np.int64)
        place[[self._codes[text] for text in texts]] = np.arange(len(texts))
        described = np.flatnonzero(codes >= 0)
        pairs = items[described].astype(np.int64) * len(texts) + place[codes[described]]
        pairs, counts = np.unique(pairs, return_counts=True)
        of_item, text = np.divmod(pairs, len(texts))
        order = np.lexsort((text, -counts, of_item))
        first = order[np.flatnonzero(np.diff(of_item[order], prepend=-1))]
        result = [""] * n_items
        for item, chosen in zip(of_item[first].tolist(), text[first].tolist(), strict=True):
            result[item] = texts[chosen]
        return result
