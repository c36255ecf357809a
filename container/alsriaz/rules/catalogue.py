"""What can be ranked, as rules see it: mostly items; for an item's audience customers, of whom only ids are known."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from alsriaz.model.attributes import NO_IDS, Attributes
from alsriaz.model.conditions import Where, text_size
from alsriaz.model.ids import IdTable, Positions
from alsriaz.scoring.scorers import Mask

_CACHED_MASKS = 64
_CACHED_BYTES = 1 << 23  # a model, in each worker
_CONDITION_BYTES = 1 << 12
_CACHED_TEXT = 1 << 14  # characters: the cache holds conditions too, and a request's can be megabytes


def most_cached_bytes(n_rows: int) -> int:
    """Return how many bytes of conditions and masks a catalogue keeps; `n_rows` are its items and the unsold ones.

    Conditions are counted with a few values each.
    """
    return _most_cached(n_rows) * (n_rows + _CONDITION_BYTES)


def _most_cached(n_rows: int) -> int:
    return max(1, min(_CACHED_MASKS, _CACHED_BYTES // max(1, n_rows)))


@dataclass(frozen=True)
class Catalogue:
    """What rules need to know of the items. Extended positions go on, beyond the items, over those never sold.

    Attributes:
        ids: the items' ids.
        by_popularity: shape (n_items,), positions by number of customers, most first, ties by position.
        new: shape (n_items + n_unsold,), True for the items that are new on the window's last day, and for the unsold.
        unsold: the ids of items that were never sold, but stand in the shop's table.
        attributes: of all of them, by extended position.
        kind: "item", or "customer" where the items are customers.
    """

    ids: IdTable
    by_popularity: npt.NDArray[np.int32]
    new: Mask
    unsold: IdTable
    attributes: Attributes
    kind: str = "item"

    @classmethod
    def of_customers(cls, ids: IdTable) -> "Catalogue":
        """Return a catalogue of customers, of whom nothing but ids is known."""
        nothing = np.zeros(len(ids), dtype=np.bool_)
        return cls(ids, np.empty(0, dtype=np.int32), nothing, NO_IDS, Attributes.empty(len(ids)), "customer")

    def position_of(self, outside_id: str) -> int | None:
        """Return the extended position of an id, or None where neither sales nor the table know it."""
        found = self.ids.position_of(outside_id)
        if found is None and len(self.unsold):
            beyond = self.unsold.position_of(outside_id)
            return None if beyond is None else len(self.ids) + beyond
        return found

    def positions_of(self, outside_ids: Iterable[str]) -> Positions:
        """Return the extended positions of those ids that are known, in the given order."""
        if not len(self.unsold):
            return self.ids.positions_of(outside_ids)
        found = (self.position_of(outside_id) for outside_id in outside_ids)
        return np.array([position for position in found if position is not None], dtype=np.int64)

    def id_at(self, position: int) -> str:
        """Return the id at an extended position."""
        n_items = len(self.ids)
        return self.ids.id_at(position) if position < n_items else self.unsold.id_at(position - n_items)

    def mask(self, where: Where, path: str) -> Mask:
        """Return shape (n_items + n_unsold,), True for what matches; not to be changed: it may be cached."""
        if text_size(where) > _CACHED_TEXT:
            return self.attributes.mask(where, path)
        self.attributes.check(where, path)
        return self._masks(where)

    @cached_property
    def _masks(self) -> Callable[[Where], Mask]:
        return lru_cache(_most_cached(len(self.new)))(lambda where: self.attributes.mask(where, "where"))
