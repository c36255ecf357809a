"""A customer's purchases, the stored ones and those that a request brings, and the factors that follow from them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alsriaz.errors import RequestError
from alsriaz.model.folder import Model
from alsriaz.model.ids import Positions
from alsriaz.platform.days import Day, parse_day
from alsriaz.platform.values import shown
from alsriaz.questions.fields import an_id, check_fields
from alsriaz.rules.notices import Notice, notices
from alsriaz.scoring.foldin import Equations
from alsriaz.scoring.ratings import PairPurchases, decay, rate

MOST_QUANTITY = 1e15
DEFAULT_MOST_ENTRIES = 10_000


@dataclass(frozen=True)
class Entry:
    """One purchase in a request's history."""

    item: str
    quantity: float
    day: Day


@dataclass(frozen=True)
class Bought:
    """What a customer bought: item positions, ascending, and the purchases of each."""

    items: Positions
    purchases: PairPurchases


def parse_history(given: Any, last_day: Day, most: int) -> list[Entry]:
    """Return the entries of the field `history`: item ids, or objects with item, quantity and date.

    Raises:
        RequestError: it is no list, has more than `most` entries, or an entry can't be read.
    """
    if not isinstance(given, list):
        raise RequestError("bad_value", f"history is {shown(given)}, expected a list of purchases.", "history")
    if len(given) > most:
        raise RequestError("bad_value", f"history has {len(given)} entries, expected at most {most}.", "history")
    return [_entry(value, f"history[{number}]", last_day) for number, value in enumerate(given)]


def stored(model: Model, customer: int | None) -> Bought:
    """Return what the model knows that the customer at this position bought; None is a customer it doesn't know."""
    if customer is None:
        return Bought(
            np.empty(0, np.int64),
            PairPurchases(np.empty(0, np.int32), np.empty(0, np.float64), np.empty(0, np.float64)),
        )
    return Bought(model.purchased(customer), model.purchases(customer))


def with_history(model: Model, bought: Bought, history: Sequence[Entry]) -> tuple[Bought, list[Notice]]:
    """Return `bought` with the entries of a history added to it, and a warning for each item that was never sold."""
    positions = [model.catalogue.ids.position_of(entry.item) for entry in history]
    known = [(p, entry) for p, entry in zip(positions, history, strict=True) if p is not None]
    unknown = dict.fromkeys(entry.item for p, entry in zip(positions, history, strict=True) if p is None)
    told = notices("unknown_item", "Item {} of the history was never sold: it is left out.", unknown)
    if not known:
        return bought, told
    ages = np.array([model.last_day - entry.day for _, entry in known], dtype=np.int32)
    old = bought.purchases
    items = np.concatenate([bought.items, np.array([position for position, _ in known], dtype=np.int64)])
    unique, which = np.unique(items, return_inverse=True)
    purchases = PairPurchases(
        _summed(which, old.counts, np.ones(len(known), dtype=np.int32)).astype(np.int32),
        _summed(which, old.quantities, np.array([entry.quantity for _, entry in known])),
        _summed(which, old.decayed, decay(ages, model.spec.half_life_days)),
    )
    return Bought(unique, purchases), told


def factors_from(model: Model, bought: Bought) -> npt.NDArray[np.float32]:
    """Return the factors, shape (rank,), that ALS gives to a customer who bought this.

    Raises:
        RequestError: the purchases are so many, or so large, that no factors follow from them.
    """
    with _solvable():
        return equations_of(model, bought).factors()


def contributions_to(model: Model, bought: Bought, item: int) -> npt.NDArray[np.float64]:
    """Return what each of the purchases adds to the customer's score of `item`, in the order of `bought.items`.

    Raises:
        RequestError: see `factors_from`.
    """
    with _solvable():
        return equations_of(model, bought).contributions(model.arrays.item_factors[item])


def equations_of(model: Model, bought: Bought) -> Equations:
    """Return the equations of a customer who bought this."""
    spec = model.spec
    return Equations(
        model.arrays.item_factors[bought.items],
        rate(spec.ranking_type, bought.purchases, model.arrays.item_customers[bought.items]),
        model.arrays.item_gram,
        implicit=spec.implicit,
        alpha=spec.alpha,
        reg_param=spec.reg_param,
        nonnegative=spec.nonnegative,
    )


@contextmanager
def _solvable() -> Iterator[None]:
    try:
        yield
    except ArithmeticError as error:
        message = f"No factors follow from this history: {error}. Are its quantities those of one customer?"
        raise RequestError("bad_value", message, "history") from None


def _summed(which: Positions, first: npt.NDArray[Any], second: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    values = np.concatenate([first, second]).astype(np.float64)
    return np.bincount(which, weights=values).astype(np.float64)


def _entry(value: Any, path: str, last_day: Day) -> Entry:
    if not isinstance(value, dict):
        return Entry(an_id(value, path), 1.0, last_day)
    check_fields(value, ("item", "quantity", "date"), path)
    if value.get("item") is None:
        raise RequestError("missing_field", f"{path} has no item, expected the id of what was bought.", f"{path}.item")
    item = an_id(value["item"], f"{path}.item")
    return Entry(item, _quantity(value.get("quantity"), path), _day(value.get("date"), path, last_day))


def _quantity(value: Any, path: str) -> float:
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST_QUANTITY:
        message = f"{path}.quantity is {shown(value)}, expected a number above 0, at most {MOST_QUANTITY:g}."
        raise RequestError("bad_value", message, f"{path}.quantity")
    return float(value)


def _day(value: Any, path: str, last_day: Day) -> Day:
    if value is None:
        return last_day
    try:
        return parse_day(str(value) if type(value) is int else value)
    except (ValueError, TypeError):
        message = f"{path}.date is {shown(value)}, expected a day as yyyymmdd or yyyy-mm-dd."
        raise RequestError("bad_value", message, f"{path}.date") from None
