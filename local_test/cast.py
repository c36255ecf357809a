"""Who appears in the demo: customers, a new item and a basket, chosen by rule: the same sales always give the same."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alsriaz.model.folder import Model
from alsriaz.rules.side import Side
from local_test.shop import Shop

POPULAR_PLACES = slice(100, 500)  # a basket's items: known to many, but not what everybody buys
MOST_CUSTOMERS = 20_000  # enough to see which items go together


@dataclass(frozen=True)
class Cast:
    """The ids that the demo asks about.

    Attributes:
        customers: three, or all where there are fewer, by ascending number of purchases.
        new_item: an item that the first of them never bought.
        basket: up to three items that are bought by the same customers.
    """

    customers: tuple[str, ...]
    new_item: str
    basket: tuple[str, ...]


def choose(shop: Shop) -> Cast:
    """Return the demo's cast: it depends on purchases and descriptions alone, not on factors."""
    model = shop.model
    customers = busy_customers(model)
    return Cast(
        customers=tuple(model.customer_ids.id_at(customer) for customer in customers),
        new_item=model.item_ids.id_at(newest_item(model, customers[0])),
        basket=tuple(model.item_ids.id_at(item) for item in matching_items(shop)),
    )


def busy_customers(model: Model) -> list[int]:
    """Return the positions of three customers with many purchases, though not the most; ties by position."""
    offsets = model.arrays.purchase_offsets
    running = np.concatenate(([0], np.cumsum(model.arrays.purchase_counts, dtype=np.int64)))
    order = np.argsort(running[offsets[1:]] - running[offsets[:-1]], kind="stable")
    places = [int(share * (len(order) - 1)) for share in (0.6, 0.75, 0.9)]
    return [int(order[place]) for place in sorted(set(places))]


def newest_item(model: Model, customer: int) -> int:
    """Return the new item with most customers, of those that `customer` never bought; ties by position.

    Where no item is new, it is the best known of the items that came last.
    """
    first_days = model.arrays.item_first_days
    unbought = np.ones(len(first_days), dtype=np.bool_)
    unbought[model.bought_by(customer)] = False
    candidates = np.flatnonzero(Side.of_items(model).new[: len(unbought)] & unbought)
    if not len(candidates):
        others = np.flatnonzero(unbought) if unbought.any() else np.arange(len(first_days))
        candidates = others[first_days[others] == first_days[others].max()]
    return int(candidates[np.argmax(model.arrays.item_customers[candidates])])


def matching_items(shop: Shop) -> list[int]:
    """Return three items of different kinds that the same customers buy, by the cosine between sets of customers.

    One item and the two that are nearest to it, where the sum of the two cosines is highest; ties by popularity.
    """
    by_popularity = shop.model.arrays.items_by_popularity
    items = by_popularity[POPULAR_PLACES]
    if len(items) < 3:
        items = by_popularity[: POPULAR_PLACES.stop]
    bought = _bought(shop.model, items)
    norms = np.sqrt(np.maximum(bought.sum(axis=0), 1))
    kinds = np.array(_kinds(shop, items))
    cosines = np.where(kinds[:, None] == kinds, -1, bought.T @ bought / np.outer(norms, norms))
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :2]
    anchor = int(np.argmax(np.take_along_axis(cosines, nearest, axis=1).sum(axis=1)))
    return [int(items[place]) for place in dict.fromkeys((anchor, *nearest[anchor].tolist()))]


def _kinds(shop: Shop, items: npt.NDArray[np.int32]) -> list[str]:
    """Return the first word of each item's description, else its id: two flavours of one thing are of one kind."""
    ids = [shop.model.item_ids.id_at(item) for item in items.tolist()]
    return [(shop.describe(outside_id).split() or [outside_id])[0] for outside_id in ids]


def _bought(model: Model, items: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Return which of the first customers bought which of `items`: shape (n_customers, n_items), 1 or 0."""
    offsets = model.arrays.purchase_offsets[: MOST_CUSTOMERS + 1]
    column = np.full(len(model.arrays.item_customers), -1)
    column[items] = np.arange(len(items))
    columns = column[model.arrays.purchase_items[: offsets[-1]]]
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    bought = np.zeros((len(offsets) - 1, len(items)), dtype=np.float32)
    bought[rows[columns >= 0], columns[columns >= 0]] = 1
    return bought
