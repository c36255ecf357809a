"""What is ranked, as rules see it: the items of a model, or its customers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from alsriaz.model.arrays import Mask, Positions
from alsriaz.model.attributes import Attributes
from alsriaz.model.conditions import Where, text_size
from alsriaz.model.folder import Model
from alsriaz.model.ids import NO_IDS, IdTable

_CACHED_MASKS = 64
_CACHED_BYTES = 1 << 23  # a model, in each worker
_CONDITION_BYTES = 1 << 12
_CACHED_TEXT = 1 << 14  # characters: the cache holds conditions too, and a request's can be megabytes


def most_cached_bytes(n_rows: int) -> int:
    """Return how many bytes of conditions and masks a side of `n_rows`, the unsold with them, keeps at most.

    Conditions are counted with a few values each.
    """
    return _most_cached(n_rows) * (n_rows + _CONDITION_BYTES)


def _most_cached(n_rows: int) -> int:
    return max(1, min(_CACHED_MASKS, _CACHED_BYTES // max(1, n_rows)))


@dataclass(frozen=True, eq=False)
class Side:
    """What rules need to know of what is ranked. Extended positions go on, beyond it, over items never sold.

    Attributes:
        kind: "item" or "customer".
        ids: of what has scores.
        unsold: the ids of items that were never sold, but stand in the shop's table.
        new: shape (len(ids) + len(unsold),), True for items that are new on the window's last day, and for the unsold.
        by_popularity: shape (len(ids),), positions by number of customers, most first, ties by position.
        attributes: of all of them, by extended position.
    """

    kind: str
    ids: IdTable
    unsold: IdTable
    new: Mask
    by_popularity: npt.NDArray[np.int32]
    attributes: Attributes

    @classmethod
    def of_items(cls, model: Model) -> "Side":
        """Return the items of a model; one of the shop's table that was never sold is as new as can be."""
        new = model.last_day - model.arrays.item_first_days < model.spec.new_item_days
        new = np.concatenate([new, np.ones(len(model.unsold_ids), dtype=np.bool_)])
        return cls("item", model.item_ids, model.unsold_ids, new, model.arrays.items_by_popularity, model.attributes)

    @classmethod
    def of_customers(cls, model: Model) -> "Side":
        """Return the customers of a model, of whom nothing but ids is known."""
        ids = model.customer_ids
        nothing = np.zeros(len(ids), dtype=np.bool_)
        return cls("customer", ids, NO_IDS, nothing, np.empty(0, dtype=np.int32), Attributes.empty(len(ids)))

    @classmethod
    def of_attributes(cls, attributes: Attributes) -> "Side":
        """Return items of which nothing but attributes is known, before there is a model."""
        nothing = np.zeros(len(attributes), dtype=np.bool_)
        return cls("item", NO_IDS, NO_IDS, nothing, np.empty(0, dtype=np.int32), attributes)

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
        n_ranked = len(self.ids)
        return self.ids.id_at(position) if position < n_ranked else self.unsold.id_at(position - n_ranked)

    def scored(self, positions: Positions) -> Positions:
        """Return those of extended positions that are not unsold items'."""
        return positions[positions < len(self.ids)] if len(self.unsold) else positions

    def mask(self, where: Where, path: str) -> Mask:
        """Return by extended position True for what matches; not to be changed: it may be cached.

        Raises:
            BadValue: a condition names no attribute, or asks texts for bounds.
        """
        if text_size(where) > _CACHED_TEXT:
            return self.attributes.mask(where, path)
        self.attributes.check(where, path)
        return self._masks(where)

    @cached_property
    def _masks(self) -> Callable[[Where], Mask]:
        return lru_cache(_most_cached(len(self.new)))(lambda where: self.attributes.mask(where, "where"))
