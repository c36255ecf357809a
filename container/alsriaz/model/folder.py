"""The model folder: arrays and JSON, verified once, then memory-mapped. docs/artifact.md describes it for users.

Nothing is pickled. `core.model_writer` writes it; without its manifest.json a folder is unfinished and refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alsriaz.errors import CallerError, ModelError
from alsriaz.model.attribute_files import ATTRIBUTES_NAME, read_item_table
from alsriaz.model.attributes import NO_IDS, Attributes, ItemTable
from alsriaz.model.ids import IdTable
from alsriaz.model.manifest import MANIFEST_NAME, Manifest, read_manifest, verify_files
from alsriaz.platform.days import Day, parse_day
from alsriaz.platform.json_file import read_object
from alsriaz.platform.layout import RULES_NAME
from alsriaz.platform.spec import Spec, parse_spec
from alsriaz.rules.catalogue import Catalogue
from alsriaz.rules.rules import NO_RULES, Rules, parse_standing_rules
from alsriaz.scoring.ratings import PairPurchases
from alsriaz.scoring.scorers import ItemFactors


@dataclass(frozen=True)
class ModelArrays:
    """The arrays of a model, each in a file of its own name with ``.npy``.

    Rows are positions: the ids' code-point order. The purchases of customer c are the pairs ``purchase_offsets[c]``
    to ``purchase_offsets[c + 1]``, by ascending item.

    Attributes:
        customer_factors: float32 (n_customers, rank).
        item_factors: float32 (n_items, rank).
        item_gram: float64 (rank, rank), Y'Y of the item factors, for fold-in.
        customer_id_text: uint8, the customers' ids end to end, see `core.ids`.
        customer_id_offsets: int64 (n_customers + 1,).
        item_id_text: uint8, the items' ids end to end.
        item_id_offsets: int64 (n_items + 1,).
        purchase_offsets: int64 (n_customers + 1,).
        purchase_items: int32 (n_pairs,), item positions.
        purchase_counts: int32 (n_pairs,), purchases of the pair in the window.
        purchase_quantities: float64 (n_pairs,), their quantity in all.
        purchase_decayed: float64 (n_pairs,), see `core.ratings.PairPurchases`.
        item_customers: int32 (n_items,), customers who bought the item in the window.
        items_by_popularity: int32 (n_items,), positions, most customers first, ties by position.
        item_first_days: int32 (n_items,), day of the item's first sale over all accepted rows.
    """

    customer_factors: npt.NDArray[np.float32]
    item_factors: npt.NDArray[np.float32]
    item_gram: npt.NDArray[np.float64]
    customer_id_text: npt.NDArray[np.uint8]
    customer_id_offsets: npt.NDArray[np.int64]
    item_id_text: npt.NDArray[np.uint8]
    item_id_offsets: npt.NDArray[np.int64]
    purchase_offsets: npt.NDArray[np.int64]
    purchase_items: npt.NDArray[np.int32]
    purchase_counts: npt.NDArray[np.int32]
    purchase_quantities: npt.NDArray[np.float64]
    purchase_decayed: npt.NDArray[np.float64]
    item_customers: npt.NDArray[np.int32]
    items_by_popularity: npt.NDArray[np.int32]
    item_first_days: npt.NDArray[np.int32]

    def problems(self) -> Iterator[str]:
        """Yield what doesn't fit together, in words; nothing where all is well."""
        for field in fields(self):
            array, dtype = getattr(self, field.name), np.dtype(_DTYPES[field.name])
            if array.dtype != dtype:
                yield f"{field.name} holds {array.dtype}, expected {dtype}"
        n_customers, n_items = len(self.customer_id_offsets) - 1, len(self.item_id_offsets) - 1
        rank, n_pairs = self.item_gram.shape[0], len(self.purchase_items)
        shapes = {
            "customer_factors": (n_customers, rank),
            "item_factors": (n_items, rank),
            "item_gram": (rank, rank),
            "purchase_offsets": (n_customers + 1,),
            "item_customers": (n_items,),
            "items_by_popularity": (n_items,),
            "item_first_days": (n_items,),
        } | dict.fromkeys(("purchase_counts", "purchase_quantities", "purchase_decayed"), (n_pairs,))
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                yield f"{name} has shape {getattr(self, name).shape}, expected {shape}"


_DTYPES = {
    "customer_factors": "<f4",
    "item_factors": "<f4",
    "item_gram": "<f8",
    "customer_id_text": "|u1",
    "customer_id_offsets": "<i8",
    "item_id_text": "|u1",
    "item_id_offsets": "<i8",
    "purchase_offsets": "<i8",
    "purchase_items": "<i4",
    "purchase_counts": "<i4",
    "purchase_quantities": "<f8",
    "purchase_decayed": "<f8",
    "item_customers": "<i4",
    "items_by_popularity": "<i4",
    "item_first_days": "<i4",
}


@dataclass(frozen=True)
class Model:
    """A model ready to answer; its arrays are memory-mapped, read-only, and shared by all processes that open it."""

    arrays: ModelArrays
    manifest: Manifest
    spec: Spec
    last_day: Day
    standing_rules: Rules
    item_table: ItemTable | None = None
    """What the shop says about its items, where it says anything."""

    @cached_property
    def customer_ids(self) -> IdTable:
        """The customers' ids."""
        return IdTable(self.arrays.customer_id_text, self.arrays.customer_id_offsets)

    @cached_property
    def attributes(self) -> Attributes:
        """What is known of the items, by extended position; without any attribute where the shop gave none."""
        return self.item_table.attributes if self.item_table else Attributes.empty(len(self.arrays.item_factors))

    @property
    def unsold_ids(self) -> IdTable:
        """The items of the shop's table that were never sold: those at the extended positions from n_items on."""
        return self.item_table.unsold_ids if self.item_table else NO_IDS

    @cached_property
    def catalogue(self) -> Catalogue:
        """The items, as rules see them; an item of the shop's table that was never sold is as new as can be."""
        new = self.last_day - self.arrays.item_first_days < self.spec.new_item_days
        return Catalogue(
            ids=IdTable(self.arrays.item_id_text, self.arrays.item_id_offsets),
            by_popularity=self.arrays.items_by_popularity,
            new=np.concatenate([new, np.ones(len(self.unsold_ids), dtype=np.bool_)]),
            unsold=self.unsold_ids,
            attributes=self.attributes,
        )

    @cached_property
    def item_factors(self) -> ItemFactors:
        """The item factors, as ranking sees them."""
        return ItemFactors(self.arrays.item_factors)

    def purchased(self, customer: int) -> npt.NDArray[np.int64]:
        """Return the positions of the items that the customer at this position bought, ascending."""
        return self.arrays.purchase_items[self._pairs(customer)].astype(np.int64)

    def purchases(self, customer: int) -> PairPurchases:
        """Return the customer's purchases of each of those items."""
        pairs = self._pairs(customer)
        arrays = self.arrays
        return PairPurchases(
            arrays.purchase_counts[pairs], arrays.purchase_quantities[pairs], arrays.purchase_decayed[pairs]
        )

    def _pairs(self, customer: int) -> slice:
        return slice(*self.arrays.purchase_offsets[customer : customer + 2].tolist())


def verify_model(folder: Path) -> Manifest:
    """Read a model folder from end to end and return its manifest; ModelError says what is wrong with it."""
    manifest = read_manifest(folder)
    verify_files(folder, manifest)
    open_model(folder)
    return manifest


def open_model(folder: Path) -> Model:
    """Map a model folder. Files are not read through: `verify_model` does that, once a container.

    Raises:
        ModelError: the folder is no finished model of this format, or its arrays don't fit together.
    """
    manifest = read_manifest(folder)
    arrays = ModelArrays(**{field.name: _mapped(folder, field.name) for field in fields(ModelArrays)})
    problem = next(arrays.problems(), None)
    if problem:
        raise ModelError(f"The model's arrays don't fit together: {problem}. Train again.")
    item_table = None
    if ATTRIBUTES_NAME in manifest.files:
        item_table = read_item_table(folder, partial(_mapped, folder), len(arrays.item_factors))
    rules_file = folder / RULES_NAME
    try:
        return Model(
            arrays=arrays,
            manifest=manifest,
            spec=parse_spec(manifest.values["spec"]),
            last_day=parse_day(manifest.values["dates"]["last_day"]),
            standing_rules=parse_standing_rules(read_object(rules_file)) if RULES_NAME in manifest.files else NO_RULES,
            item_table=item_table,
        )
    except KeyError as error:
        raise ModelError(f"The model's {MANIFEST_NAME} lacks {error}: it was changed after training.") from None
    except (AttributeError, TypeError, ValueError, CallerError) as error:
        raise ModelError(f"The model's JSON was changed after training: {error}.") from None


def _mapped(folder: Path, name: str) -> npt.NDArray[Any]:
    path = folder / f"{name}.npy"
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except FileNotFoundError:
        raise ModelError(f"The model's file {path.name} is missing: copy the folder again, or train again.") from None
    except (ValueError, EOFError, OSError) as error:
        raise ModelError(f"The model's file {path.name} is no array that can be mapped: {error}.") from None
