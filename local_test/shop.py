"""What the shop knows beside the model's answers: who bought what how often, and what an item is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from alsriaz.model.folder import Model
from alsriaz.rules.side import Side
from local_test.tables import table

DESCRIPTION = "description"

Rows = list[list[object]]


@dataclass(frozen=True)
class Shop:
    """The model's purchases, and a line about each item where the sales files have one.

    Attributes:
        model: the trained model; only its ids, purchases and descriptions are looked at here.
    """

    model: Model

    @cached_property
    def _items(self) -> Side:
        return Side.of_items(self.model)

    def bought(self, customer: str) -> dict[str, int]:
        """Return how often the customer bought each item in the window, most often first, ties by position."""
        position = self.model.customer_ids.position_of(customer)
        if position is None:
            return {}
        items = self.model.bought_by(position)
        counts = self.model.arrays.purchase_counts[self.model.pairs_of(position)]
        order = np.argsort(-counts, kind="stable")
        return {self.model.item_ids.id_at(int(items[at])): int(counts[at]) for at in order}

    def customer_table(self, customer: str, most: int) -> str:
        """Return the `most` items that the customer bought most often."""
        bought = self.bought(customer)
        return self._table(["times"], [[item, times] for item, times in list(bought.items())[:most]])

    def items_table(self, items: Sequence[str]) -> str:
        """Return items with their descriptions."""
        return self._table([], [[item] for item in items])

    def answer_table(self, answer: Mapping[str, Any], customer: str | None) -> str:
        """Return an answer's recommendations, and for a known customer how often each was bought already."""
        bought = self.bought(customer) if customer is not None else {}
        header, rows = ["score", "reason"], []
        for place, entry in enumerate(answer["recommendations"], start=1):
            row = [place, entry["item"], entry["score"], entry["reason"]]
            rows.append(row + ([bought.get(entry["item"], None)] if customer is not None else []))
        return self._table([*header, *(["bought before"] if customer is not None else [])], rows, places=True)

    def named(self, item: str) -> str:
        """Return an item's id, with its description where there is one."""
        return f"{item} {self.describe(item)}".rstrip()

    def _table(self, header: list[str], rows: Rows, *, places: bool = False) -> str:
        """Return a table whose rows begin with (a place and) an item id; the item's description follows it."""
        at = int(places)
        described = DESCRIPTION in self.model.attributes.names
        names = [*["place"][:at], "item", *["description"][:described], *header]
        wide = [[*row[: at + 1], *([self.describe(row[at])][:described]), *row[at + 1 :]] for row in rows]
        return table(names, wide)

    def describe(self, item: object) -> str:
        """Return the line about an item, or nothing."""
        position = self._items.position_of(str(item))
        if position is None or DESCRIPTION not in self.model.attributes.names:
            return ""
        return str(self.model.attributes.shown(position, [DESCRIPTION])[DESCRIPTION] or "")
