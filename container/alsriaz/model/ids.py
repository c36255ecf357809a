"""Outside ids to positions and back.

All ids of one kind lie end to end in one array of UTF-8 bytes, in code-point order, and a second array says where
each begins. UTF-8 keeps the code-point order, so an id is found by binary search, straight in the memory-mapped
arrays: no worker holds a dict of all ids.
"""

import bisect
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NewType

import numpy as np
import numpy.typing as npt

from alsriaz.model.arrays import Positions

Position = NewType("Position", int)

SIGNPOSTS = 4096  # of all ids so many are kept as Python objects: most steps of a search are between them
_READ_THROUGH = 4096  # bytes between two signposts: so few are searched for the text itself sooner than halved


class IdTable:
    """The ids of all customers, or of all items, by position.

    Attributes:
        arrays: the two arrays that hold them.
    """

    def __init__(self, text: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], signposts: int = SIGNPOSTS) -> None:
        """Take the arrays that `pack_ids` made, or their memory-mapped copies; `signposts` ids are kept beside them."""
        self.arrays = (text, offsets)
        self._text, self._offsets = text.data, offsets.data
        self._encoded = _EncodedIds(self._text, self._offsets)
        self._length = len(self._encoded)
        self._step = max(1, self._length // signposts)
        self._signposts = [self._encoded[position] for position in range(0, self._length, self._step)]

    def __len__(self) -> int:
        return self._length

    def id_at(self, position: int) -> str:
        """Return the id of the customer or item at `position`."""
        return str(self._text[self._offsets[position] : self._offsets[position + 1]], "utf-8")

    def ids_at(self, positions: Iterable[int]) -> list[str]:
        """Return the ids at some positions, in the given order."""
        text, offsets = self._text, self._offsets
        return [str(text[offsets[position] : offsets[position + 1]], "utf-8") for position in positions]

    def position_of(self, outside_id: str) -> Position | None:
        """Return the position of an id, or None where the model doesn't know it."""
        if not self._length:
            return None
        wanted, offsets = outside_id.encode(), self._offsets
        signpost = bisect.bisect_right(self._signposts, wanted) - 1
        if signpost < 0:
            return None  # it would stand before the first
        begin = signpost * self._step
        end = begin + self._step
        if end > self._length:
            end = self._length
        first, last = offsets[begin], offsets[end]
        if last - first <= _READ_THROUGH:
            place = self._text[first:last].tobytes().find(wanted)
            if place < 0:
                return None
            place += first
            found = bisect.bisect_left(offsets, place, begin, end - 1)
            if offsets[found] == place and offsets[found + 1] == place + len(wanted):
                return Position(found)  # else it lies within an id, or across several: that takes a closer look
        found = bisect.bisect_left(self._encoded, wanted, begin, end)
        return Position(found) if found < self._length and self._encoded[found] == wanted else None

    def positions_of(self, outside_ids: Iterable[str]) -> Positions:
        """Return the positions of those ids that the model knows, in the given order."""
        found = map(self.position_of, outside_ids)
        return np.array([position for position in found if position is not None], dtype=np.int64)


class _EncodedIds(Sequence[bytes]):
    """The ids as UTF-8 bytes, ascending, for `bisect`."""

    def __init__(self, text: memoryview, offsets: memoryview) -> None:
        self._text = text
        self._offsets = offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, position: Any) -> Any:
        return self._text[self._offsets[position] : self._offsets[position + 1]].tobytes()


def pack_ids(ids: Sequence[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the two arrays of an `IdTable`.

    Args:
        ids: unique, in code-point order, as `sorted` gives them.

    Returns:
        The UTF-8 bytes of all ids end to end, and shape (len(ids) + 1,): where each begins, and where the last ends.
    """
    encoded = [outside_id.encode() for outside_id in ids]
    if any(first >= second for first, second in itertools.pairwise(encoded)):
        raise ValueError("ids must be unique and in code-point order")
    offsets = np.zeros(len(ids) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets


NO_IDS = IdTable(np.empty(0, np.uint8), np.zeros(1, np.int64))
"""A table of no ids."""
