"""At most so many items of one department, brand, ...: which of some items, best first, a list or its pages take."""

from collections.abc import Mapping, Sequence

import numpy as np

from alsriaz.model.arrays import Mask, Positions
from alsriaz.rules.rows import Cap


def within_caps(positions: Positions, most: int, caps: Sequence[Cap], counted: Positions) -> Positions:
    """Return which places of `positions` a list takes, going from the first on and leaving out what a cap forbids.

    Args:
        positions: extended positions, best first, unique.
        most: how many are taken at most.
        caps: how many items of one value the list may hold; items without a value have no cap.
        counted: extended positions of what the list holds already. They count, but are never taken off.

    Returns:
        Ascending places in `positions`, shape (at most `most`,).
    """
    if not caps:
        return np.arange(min(most, len(positions)))
    codes = [cap.codes[positions] for cap in caps]
    room = [_room(cap, counted) for cap in caps]
    blocked = np.zeros(len(positions), dtype=np.bool_)
    for code, left in zip(codes, room, strict=True):
        if full := _full(left):
            blocked |= np.isin(code, full)
    taken: list[int] = []
    place = 0
    while len(taken) < most and (place := _next_open(blocked, place)) < len(positions):
        taken.append(place)
        for cap, code, left in zip(caps, codes, room, strict=True):
            value = int(code[place])
            if value >= 0:
                left[value] = left.get(value, cap.most) - 1
                if left[value] == 0:
                    blocked[place + 1 :] |= code[place + 1 :] == value
        place += 1
    return np.array(taken, dtype=np.int64)


def with_room(caps: Sequence[Cap], counted: Positions) -> Mask:
    """Return shape (n,), by extended position True where no cap would keep an item off a list that holds `counted`."""
    has_room = np.ones(len(caps[0].codes), dtype=np.bool_)
    for cap in caps:
        has_room &= ~np.isin(cap.codes, _full(_room(cap, counted)))
    return has_room


def dealt(positions: Positions, k: int, caps: Sequence[Cap], pages: int) -> tuple[Positions, int]:
    """Deal items into pages of `k`, each by `within_caps` from what the pages before it have left.

    Each item goes to the first page that has room for it. A page without room for some value never has any again, so
    that one pass over the items is enough: which pages are closed is kept as a bit for each.

    Args:
        positions: extended positions, best first, unique.
        k: how many items a page holds, at least 1.
        caps: how many items of one value a page may hold; items without a value have no cap.
        pages: how many pages are dealt, at least 1.

    Returns:
        Ascending places in `positions` of what the last of these pages holds, and how many items all of them hold.
    """
    if not caps:
        held = min(pages * k, len(positions))
        return np.arange(min(held, (pages - 1) * k), held), held
    deal = _Deal(k, [cap.most for cap in caps], pages)
    for values in zip(*(_that_bind(cap, positions) for cap in caps), strict=True):
        deal.place(values)
        if deal.over:
            break
    return np.array(deal.last, dtype=np.int64), deal.held


class _Deal:
    """Pages while items are dealt to them."""

    def __init__(self, k: int, most: Sequence[int], pages: int) -> None:
        self.last: list[int] = []
        self.held = 0
        self._k, self._most, self._pages = k, most, pages
        self._seen = 0
        self._full = 0  # a bit for each page: 1 where it holds k
        self._held = [0] * pages
        self._closed: list[dict[int, int]] = [{} for _ in most]  # by value, such bits for the pages without room for it
        self._counts: list[dict[tuple[int, int], int]] = [{} for _ in most]  # by value and page

    @property
    def over(self) -> bool:
        """True where no page has room for anything."""
        return self.held == self._k * self._pages

    def place(self, values: Sequence[int]) -> None:
        """Give the next item, which has these values, one for each cap, to the first page with room for it."""
        closed = self._full
        for pages, value in zip(self._closed, values, strict=True):
            if value >= 0:
                closed |= pages.get(value, 0)
        page = (closed ^ (closed + 1)).bit_length() - 1  # the lowest bit that is 0
        if page < self._pages:
            self._put(page, values)
        self._seen += 1

    def _put(self, page: int, values: Sequence[int]) -> None:
        self.held += 1
        self._held[page] += 1
        if self._held[page] == self._k:
            self._full |= 1 << page
        for cap, value in enumerate(values):
            if value >= 0:
                count = self._counts[cap].get((value, page), 0) + 1
                self._counts[cap][value, page] = count
                if count == self._most[cap]:
                    self._closed[cap][value] = self._closed[cap].get(value, 0) | 1 << page
        if page == self._pages - 1:
            self.last.append(self._seen)


def _that_bind(cap: Cap, positions: Positions) -> list[int]:
    """Return the items' codes, -1 also for those that are too few to ever meet the cap: most, where it is a price."""
    values, which, counts = np.unique(cap.codes[positions], return_inverse=True, return_counts=True)
    binding = np.where(counts > cap.most, values, -1)
    codes: list[int] = binding[which].tolist()
    return codes


def _room(cap: Cap, counted: Positions) -> dict[int, int]:
    """Return how many more items each value may have, of the values that the list holds already."""
    if not len(counted):
        return {}
    values, counts = np.unique(cap.codes[counted], return_counts=True)
    return {int(v): cap.most - int(n) for v, n in zip(values, counts, strict=True) if v >= 0}


def _full(room: Mapping[int, int]) -> list[int]:
    return [value for value, places in room.items() if places <= 0]


def _next_open(blocked: np.ndarray[tuple[int], np.dtype[np.bool_]], start: int) -> int:
    """Return the first place from `start` on that is not blocked, or the length where all are."""
    if start >= len(blocked):
        return len(blocked)
    step = int(np.argmin(blocked[start:]))
    return start + step if not blocked[start + step] else len(blocked)
