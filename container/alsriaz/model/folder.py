"""The model folder, opened: verified once, then memory-mapped. docs/artifact.md describes it for users.

Nothing is pickled. `model.writer` writes it; without its manifest.json a folder is unfinished and refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alsriaz.errors import CallerError, ModelError
from alsriaz.model.arrays import ARRAYS, ModelArrays, Positions, transposed
from alsriaz.model.attribute_files import ATTRIBUTES_NAME, read_item_table
from alsriaz.model.attributes import Attributes, ItemTable
from alsriaz.model.ids import NO_IDS, IdTable
from alsriaz.model.manifest import MANIFEST_NAME, Manifest, read_manifest, verify_files
from alsriaz.platform.days import Day, parse_day
from alsriaz.platform.json_file import read_object
from alsriaz.platform.layout import RULES_NAME
from alsriaz.platform.spec import Spec, parse_spec


@dataclass(frozen=True, eq=False)
class Model:
    """A model; where it was opened from a folder its arrays are read-only and shared by all processes that map it.

    Attributes:
        last_day: the window's last day, which is "now".
        standing: the standing rules as rules.json has them.
        item_table: what the shop says about its items, where it says anything.
    """

    arrays: ModelArrays
    manifest: Manifest
    spec: Spec
    last_day: Day
    standing: Mapping[str, Any] = field(default_factory=dict)
    item_table: ItemTable | None = None

    @cached_property
    def customer_ids(self) -> IdTable:
        """The customers' ids."""
        return IdTable(self.arrays.customer_id_text, self.arrays.customer_id_offsets)

    @cached_property
    def item_ids(self) -> IdTable:
        """The ids of the items that were sold."""
        return IdTable(self.arrays.item_id_text, self.arrays.item_id_offsets)

    @property
    def unsold_ids(self) -> IdTable:
        """The items of the shop's table that were never sold: those at the extended positions from n_items on."""
        return self.item_table.unsold_ids if self.item_table else NO_IDS

    @cached_property
    def attributes(self) -> Attributes:
        """What is known of the items, by extended position; without any attribute where the shop gave none."""
        return self.item_table.attributes if self.item_table else Attributes.empty(len(self.item_ids))

    def pairs_of(self, customer: int) -> slice:
        """Return where the pairs of the customer at this position stand in the purchase arrays."""
        offsets = self.arrays.purchase_offsets
        return slice(int(offsets[customer]), int(offsets[customer + 1]))

    def bought_by(self, customer: int) -> Positions:
        """Return the positions of the items that the customer at this position bought, ascending."""
        return self.arrays.purchase_items[self.pairs_of(customer)].astype(np.int64)

    def buyers_of(self, items: Positions) -> Positions:
        """Return the ascending positions of the customers who bought any of the items at these positions."""
        offsets, buyers = self.arrays.buyer_offsets, self.arrays.buyers
        found = [buyers[offsets[item] : offsets[item + 1]] for item in items.tolist()]
        return np.unique(np.concatenate(found)).astype(np.int64)


def verify_model(folder: Path) -> Manifest:
    """Read a model folder from end to end and return its manifest; ModelError says what is wrong with it."""
    manifest = read_manifest(folder)
    verify_files(folder, manifest)
    open_model(folder)
    return manifest


def open_model(folder: Path) -> Model:
    """Map a model folder; that its arrays are the ones which training wrote is for `verify_model` to find out.

    Raises:
        ModelError: the folder is not a finished model of this format, or its arrays don't fit together.
    """
    manifest = read_manifest(folder)
    arrays = _open_arrays(folder, manifest)
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
            standing=read_object(rules_file) if RULES_NAME in manifest.files else {},
            item_table=item_table,
        )
    except KeyError as error:
        raise ModelError(f"The model's {MANIFEST_NAME} lacks {error}: it was changed after training.") from None
    except (AttributeError, TypeError, ValueError, CallerError) as error:
        raise ModelError(f"The model's JSON was changed after training: {error}.") from None


_TRANSPOSE = ("buyer_offsets", "buyers")


def _open_arrays(folder: Path, manifest: Manifest) -> ModelArrays:
    if f"{_TRANSPOSE[0]}.npy" in manifest.files:
        return ModelArrays(**{name: _mapped(folder, name) for name in ARRAYS})
    arrays = {name: _mapped(folder, name) for name in ARRAYS if name not in _TRANSPOSE}  # from before models had it
    buyers: Any = transposed(arrays["purchase_offsets"], arrays["purchase_items"], len(arrays["item_factors"]))
    return ModelArrays(**arrays, **dict(zip(_TRANSPOSE, buyers, strict=True)))


def _mapped(folder: Path, name: str) -> npt.NDArray[Any]:
    path = folder / f"{name}.npy"
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except FileNotFoundError:
        raise ModelError(f"The model's file {path.name} is missing: copy the folder again, or train again.") from None
    except (ValueError, EOFError, OSError) as error:
        raise ModelError(f"The model's file {path.name} is no array that can be mapped: {error}.") from None
