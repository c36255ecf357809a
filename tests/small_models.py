"""Model folders made from plain Python values, so that a test can say what a model knows and work out the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alsriaz.model.arrays import ModelArrays, transposed
from alsriaz.model.attributes import Attributes, ItemTable
from alsriaz.model.folder import Model, open_model
from alsriaz.model.ids import IdTable, pack_ids
from alsriaz.model.manifest import Manifest
from alsriaz.model.writer import writing_model
from alsriaz.platform.days import Day, day_text
from alsriaz.platform.spec import parse_spec
from alsriaz.rules.rows import read_rules_file
from alsriaz.scoring.foldin import gram
from alsriaz.scoring.ratings import decay

LAST_DAY = 15_000


@dataclass(frozen=True)
class Purchase:
    """What one customer bought of one item: how often, how many, and how many days before the last day."""

    customer: str
    item: str
    count: int = 1
    quantity: float = 1.0
    age: int = 0


@dataclass(frozen=True)
class SmallModel:
    """A model in plain values. Ids must be sorted; factors stand in the same order.

    `first_ages` are the items' first sales, in days before the last day. `unsold` are the ids of items that were never
    sold; the values of each attribute are those of `items`, then of `unsold`, None where missing.
    """

    customers: Sequence[str]
    items: Sequence[str]
    customer_factors: Sequence[Sequence[float]]
    item_factors: Sequence[Sequence[float]]
    purchases: Sequence[Purchase]
    first_ages: Sequence[int]
    standing: dict[str, Any]
    spec: dict[str, Any]
    attributes: Mapping[str, Sequence[str | float | None]] = field(default_factory=dict)
    unsold: Sequence[str] = ()

    def write(self, folder: Path) -> Model:
        """Write the model folder and open it."""
        with writing_model(folder) as writer:
            writer.write(self._arrays(), _written(self.standing), self._item_table())
            writer.finish(
                {
                    "made_by": "a test",
                    "spec": parse_spec(self.spec).as_json(),
                    "counts": {"customers": len(self.customers), "items": len(self.items)},
                    "dates": {"first_day": day_text(0), "last_day": day_text(LAST_DAY)},
                }
            )
        return open_model(folder)

    def in_memory(self) -> Model:
        """Return the model without a folder, for tests of many models."""
        return Model(
            arrays=self._arrays(),
            manifest=Manifest({}, "0123456789ab"),
            spec=parse_spec(self.spec),
            last_day=Day(LAST_DAY),
            standing=_written(self.standing),
            item_table=self._item_table(),
        )

    def _item_table(self) -> ItemTable | None:
        if not self.attributes and not self.unsold:
            return None
        attributes = Attributes.of(self.attributes, len(self.items) + len(self.unsold))
        return ItemTable(attributes, IdTable(*pack_ids(self.unsold)))

    def _arrays(self) -> ModelArrays:
        rank = len(self.item_factors[0])
        pairs = sorted((self.customers.index(p.customer), self.items.index(p.item), p) for p in self.purchases)
        item_customers = np.bincount([item for _, item, _ in pairs], minlength=len(self.items))
        item_factors = np.array(self.item_factors, dtype="<f4").reshape(-1, rank)
        half_life = parse_spec(self.spec).half_life_days
        customer_text, customer_offsets = pack_ids(self.customers)
        item_text, item_offsets = pack_ids(self.items)
        offsets = np.searchsorted([c for c, _, _ in pairs], np.arange(len(self.customers) + 1)).astype("<i8")
        items = np.array([item for _, item, _ in pairs], dtype="<i4")
        buyer_offsets, buyers = transposed(offsets, items, len(self.items))
        return ModelArrays(
            customer_factors=np.array(self.customer_factors, dtype="<f4").reshape(-1, rank),
            item_factors=item_factors,
            item_gram=gram(item_factors),
            customer_id_text=customer_text,
            customer_id_offsets=customer_offsets,
            item_id_text=item_text,
            item_id_offsets=item_offsets,
            purchase_offsets=offsets,
            purchase_items=items,
            buyer_offsets=buyer_offsets,
            buyers=buyers,
            purchase_counts=np.array([p.count for _, _, p in pairs], dtype="<i4"),
            purchase_quantities=np.array([p.quantity for _, _, p in pairs], dtype="<f8"),
            purchase_decayed=np.array(
                [p.count * decay(np.array([p.age], dtype=np.int32), half_life)[0] for _, _, p in pairs], dtype="<f8"
            ),
            item_customers=item_customers.astype("<i4"),
            items_by_popularity=np.argsort(-item_customers, kind="stable").astype("<i4"),
            item_first_days=np.array([LAST_DAY - age for age in self.first_ages], dtype="<i4"),
        )


def _written(standing: dict[str, Any]) -> dict[str, Any]:
    """Return standing rules as a model folder has them."""
    rules = read_rules_file(standing)
    return rules.as_json() if rules else {}


def shop(**changes: Any) -> SmallModel:
    """Return a lopsided shop: 3 customers, 6 items, scores that are whole numbers.

    Scores of ann: apple 5, bread 4, cocoa 3, dates 3, eggs 2, figs -1. Those of bob are the negatives; cy's are 0.
    Customers of items: bread 3, apple 2, cocoa 1, dates 1; nobody bought eggs and figs in the window. Both are new.
    """
    values: dict[str, Any] = {
        "customers": ["ann", "bob", "cy"],
        "items": ["apple", "bread", "cocoa", "dates", "eggs", "figs"],
        "customer_factors": [[1, 0], [-1, 0], [0, 0]],
        "item_factors": [[5, 1], [4, 0], [3, 2], [3, 0], [2, 1], [-1, 0]],
        "purchases": [
            Purchase("ann", "apple", count=2, quantity=6),
            Purchase("ann", "bread"),
            Purchase("bob", "bread"),
            Purchase("bob", "cocoa", age=90),
            Purchase("cy", "apple"),
            Purchase("cy", "bread"),
            Purchase("cy", "dates", quantity=4),
        ],
        "first_ages": [400, 400, 400, 400, 3, 29],
        "standing": {},
        "spec": {"als_rank": 2, "reco_item": 3, "new_item_days": 30},
    }
    return SmallModel(**(values | changes))


def cut(path: Path) -> None:
    """Take the last 8 bytes off a file."""
    path.write_bytes(path.read_bytes()[:-8])


def flip(path: Path) -> None:
    """Change one bit of a file's last byte."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
