"""Who scores are for: a customer's purchases, the stored ones and those that a question brings."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from alsriaz.errors import BadValue
from alsriaz.model.arrays import NONE, Factors, Positions, Values
from alsriaz.model.folder import Model
from alsriaz.platform.days import Day, parse_day
from alsriaz.platform.limits import MOST_QUANTITY
from alsriaz.platform.values import Kind, an_id, check_fields, number, unexpected
from alsriaz.scoring.foldin import Equations
from alsriaz.scoring.ratings import PairPurchases, decay, rate


@dataclass(frozen=True)
class HistoryEntry:
    """One purchase in a history; a day of None is the window's last one."""

    item: str
    quantity: float = 1.0
    day: Day | None = None


@dataclass(frozen=True)
class Bought:
    """What a customer bought: item positions, ascending, and the purchases of each."""

    items: Positions
    purchases: PairPurchases


NOTHING_BOUGHT: Final = Bought(
    NONE, PairPurchases(np.empty(0, np.int32), np.empty(0, np.float64), np.empty(0, np.float64))
)


class Buyer(NamedTuple):
    """Whom a row of scores is for.

    Attributes:
        position: the customer's, None for one that the model doesn't know.
        source: where the scores come from: "model", "history", or "popular" for one of whom nothing is known.
        basket: stored and new purchases together where a history has items that were sold; else None.
        factors: shape (rank,), those that ALS gives to who bought the basket; None without one.
        history: the ids of the history's items, whether they were sold or not.
        unknown: those that never were.
    """

    position: int | None
    source: str
    basket: Bought | None = None
    factors: Factors | None = None
    history: frozenset[str] = frozenset()
    unknown: Sequence[str] = ()

    @property
    def reason(self) -> str:
        """Why a list holds what it holds by score."""
        return "popular" if self.source == "popular" else "model"

    def bought(self, model: Model) -> Bought:
        """Return all that the buyer bought."""
        return self.basket if self.basket is not None else stored(model, self.position)

    def bought_items(self, model: Model) -> Positions:
        """Return the positions of the items that the buyer bought, ascending."""
        if self.basket is not None:
            return self.basket.items
        return NONE if self.position is None else model.bought_by(self.position)


NOBODY: Final = Buyer(None, "popular")


def find_buyer(model: Model, customer: str | None, history: Sequence[HistoryEntry] | None = None) -> Buyer:
    """Return who a customer's id (None without one) and a history, where there is one, speak of.

    Raises:
        BadValue: the history's purchases are so many, or so large, that no factors follow from them.
    """
    position = None if customer is None else model.customer_ids.position_of(customer)
    source = "popular" if position is None else "model"
    if history is None:
        return Buyer(position, source)
    basket, unknown = _with_history(model, position, history)
    items = frozenset(entry.item for entry in history)
    if basket is None:
        return Buyer(position, source, None, None, items, unknown)
    return Buyer(position, "history", basket, _basket_factors(model, basket), items, unknown)


def stored(model: Model, customer: int | None) -> Bought:
    """Return what the model knows that the customer at this position bought; None is a customer it doesn't know."""
    if customer is None:
        return NOTHING_BOUGHT
    arrays, pairs = model.arrays, model.pairs_of(customer)
    purchases = PairPurchases(
        arrays.purchase_counts[pairs], arrays.purchase_quantities[pairs], arrays.purchase_decayed[pairs]
    )
    return Bought(model.bought_by(customer), purchases)


def _with_history(
    model: Model, customer: int | None, history: Sequence[HistoryEntry]
) -> tuple[Bought | None, Sequence[str]]:
    """Return what is stored with a history's entries added, and its items that were never sold; None if all are."""
    positions = [model.item_ids.position_of(entry.item) for entry in history]
    known = [(position, entry) for position, entry in zip(positions, history, strict=True) if position is not None]
    unknown = dict.fromkeys(entry.item for position, entry in zip(positions, history, strict=True) if position is None)
    if not known:
        return None, tuple(unknown)
    days = [model.last_day if entry.day is None else entry.day for _, entry in known]
    ages = np.array([model.last_day - day for day in days], dtype=np.int32)
    before = stored(model, customer)
    items = np.concatenate([before.items, np.array([position for position, _ in known], dtype=np.int64)])
    unique, which = np.unique(items, return_inverse=True)
    purchases = PairPurchases(
        _summed(which, before.purchases.counts, np.ones(len(known), dtype=np.int32)).astype(np.int32),
        _summed(which, before.purchases.quantities, np.array([entry.quantity for _, entry in known])),
        _summed(which, before.purchases.decayed, decay(ages, model.spec.half_life_days)),
    )
    return Bought(unique, purchases), tuple(unknown)


def _summed(which: Positions, first: npt.NDArray[Any], second: npt.NDArray[Any]) -> Values:
    values = np.concatenate([first, second]).astype(np.float64)
    return np.bincount(which, weights=values).astype(np.float64)


def _basket_factors(model: Model, basket: Bought) -> Factors:
    with _solvable():
        return _equations(model, basket).factors()


def factor_contributions(model: Model, bought: Bought, item: int) -> Values:
    """Return what each purchase adds to the factors' term of the score of `item`, in the order of `bought.items`.

    Raises:
        BadValue: see `find_buyer`.
    """
    with _solvable():
        return _equations(model, bought).contributions(model.arrays.item_factors[item])


def _equations(model: Model, bought: Bought) -> Equations:
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
        raise BadValue("history", message) from None


# ---- Histories as JSON has them -------------------------------------------------------------------------------------

_QUANTITY = number(0, MOST_QUANTITY, above=True, expected=f"a number above 0, at most {MOST_QUANTITY:g}")


def _parse_day(value: Any) -> Day:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError
    return parse_day(str(value))


_DAY = Kind("a day as yyyymmdd or yyyy-mm-dd", _parse_day)


def read_history(given: Any, path: str, most: int) -> list[HistoryEntry]:
    """Return the entries of a history: item ids, or objects with item, quantity and date.

    Raises:
        BadValue: it is not a list, has more than `most` entries, or an entry can't be read.
    """
    if not isinstance(given, list):
        raise unexpected(given, path, "a list of purchases")
    if len(given) > most:
        raise BadValue(path, f"{path} has {len(given)} entries, expected at most {most}.")
    return [_entry(value, f"{path}[{place}]") for place, value in enumerate(given)]


def _entry(value: Any, path: str) -> HistoryEntry:
    if not isinstance(value, dict):
        return HistoryEntry(an_id(value, path))
    check_fields(value, ("item", "quantity", "date"), path)
    if value.get("item") is None:
        message = f"{path} has no item, expected the id of what was bought."
        raise BadValue(f"{path}.item", message, "missing_field")
    item = an_id(value["item"], f"{path}.item")
    quantity, date = value.get("quantity"), value.get("date")
    return HistoryEntry(
        item,
        1.0 if quantity is None else _QUANTITY.read(quantity, f"{path}.quantity"),
        None if date is None else _DAY.read(date, f"{path}.date"),
    )
