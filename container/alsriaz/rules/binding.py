"""Rules bound to what they speak of: ids become positions, conditions become masks, layers become one.

Precedence: exclude.items > include.items > only, where > exclude.purchased, exclude.popular, exclude.where.

They speak of the items of a `core.catalogue`, or of customers, where these are what is ranked.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from alsriaz.errors import RuleError
from alsriaz.model.attributes import NO_IDS, Attributes
from alsriaz.model.conditions import Where
from alsriaz.model.ids import Positions
from alsriaz.rules.catalogue import Catalogue
from alsriaz.rules.notices import Notice, notices
from alsriaz.rules.rules import Lift, Rules, popular_count
from alsriaz.scoring.ranking import NONE
from alsriaz.scoring.scorers import Mask

T = TypeVar("T")

UNKNOWN = {
    "item": ("never_sold", "Included item {} was never sold: it has no score."),
    "customer": ("not_in_model", "Included customer {} is not in the model: there is no score."),
}


class Unsold(NamedTuple):
    """An included item that was never sold; `position` is its extended one where the shop's table has it."""

    item: str
    position: int | None


class Cap(NamedTuple):
    """How many items with the same code a list may hold; -1 is no code, and has no cap."""

    codes: npt.NDArray[np.int32]
    most: int


class BoundLift(NamedTuple):
    """Which items are lifted, shape (n_items + n_unsold,), and by what factor."""

    mask: Mask
    by: float


@dataclass(frozen=True)
class Layer:
    """One layer of rules and what its ids and conditions mean here, so that standing rules are looked up once.

    Attributes:
        rules: the rules.
        excluded: extended positions of exclude.items.
        only: ascending extended positions of include.only, None where the layer doesn't say.
        hidden: True where a condition keeps an item out, None where there is no condition.
        lifts: of `boost`, None where the layer doesn't say.
        notices: conditions that name what no item has.
    """

    rules: Rules
    excluded: Positions
    only: Positions | None
    hidden: Mask | None
    lifts: tuple[BoundLift, ...] | None
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class BoundRules:
    """Rules bound to a catalogue.

    Attributes:
        forced: positions of included items, in the order given.
        unsold: included items that were never sold, in id order.
        among: ascending positions of the items that may fill the list, None for all.
        hidden: shape (n_items + n_unsold,), True where a condition keeps an item out; None where none does.
        excluded: positions of items that may not fill it, an array for each rule that says so.
        unsold_among: ascending extended positions of unsold items that `only` names, None where nothing is said.
        unsold_barred: extended positions of unsold items that may not fill a list.
        new: at least so many new items are wanted.
        first: True where forced items come first, then new ones, then the rest.
        purchased: True where what the customer bought may not fill the list.
        lifts: what lifts scores.
        caps: how many items of one value a list may hold.
        layers: what was united here.
        notices: what the caller should know, of every list alike.
    """

    forced: Positions
    unsold: tuple[Unsold, ...]
    among: Positions | None
    hidden: Mask | None
    excluded: tuple[Positions, ...]
    unsold_among: Positions | None
    unsold_barred: Positions
    new: int
    first: bool
    purchased: bool
    lifts: tuple[BoundLift, ...]
    caps: tuple[Cap, ...]
    layers: tuple[Layer, ...]
    notices: tuple[Notice, ...]

    @property
    def barred(self) -> tuple[Positions, ...]:
        """Positions of items that may not fill a list, the forced ones with them: they have their places."""
        return (*self.excluded, self.forced)

    def keeping_out(self, positions: Positions, unsold: Positions = NONE) -> "BoundRules":
        """Return these rules with further items that may not fill a list, `unsold` at extended positions."""
        barred = np.union1d(self.unsold_barred, unsold)
        return replace(self, excluded=(*self.excluded, positions), unsold_barred=barred)

    def filters_only(self) -> "BoundRules":
        """Return these rules without what must appear and without caps: they filter and boost, and that is all."""
        notices = tuple(notice for layer in self.layers for notice in layer.notices)
        return replace(self, forced=NONE, unsold=(), new=0, first=False, caps=(), notices=notices)

    def lets_through(self, item: str, position: int | None) -> bool:
        """True where an item without a score, at this extended position if any, is kept out by no filter."""
        rules = [layer.rules for layer in self.layers]
        if any(item in one.exclude_items or (one.only is not None and item not in one.only) for one in rules):
            return False
        if position is None:
            return all(one.include_where is None for one in rules)
        return self.hidden is None or not bool(self.hidden[position])

    def room(self, k: int, path: str = "include.items") -> int:
        """Return how many places of a list of `k` are left to fill; RuleError where more than `k` must appear."""
        included = len(self.forced) + len(self.unsold)
        if included > k:
            kind = path.rsplit(".", 1)[-1]
            message = f"{path} has {included} {kind} that must appear (standing rules count), but k is {k}."
            raise RuleError(path, message)
        return k - included


def make_layer(rules: Rules, catalogue: Catalogue) -> Layer:
    """Look up one layer; ids that nobody knows have no effect in `exclude` and `only`.

    Raises:
        RuleError: a condition, a boost or a cap speaks of an attribute that the items don't have.
    """
    for name, _ in rules.at_most or ():
        catalogue.attributes.kind(name, f"at_most.{name[:80]}")
    hidden = _hidden(rules, catalogue)
    lifts = None if rules.boost is None else tuple(_lift(lift, catalogue) for lift in rules.boost)
    wheres = [rules.include_where, rules.exclude_where, *(lift.where for lift in rules.boost or ())]
    absent = dict.fromkeys(value for where in wheres if where for value in _absent(where, catalogue))
    return Layer(
        rules=rules,
        excluded=catalogue.positions_of(rules.exclude_items),
        only=None if rules.only is None else np.unique(catalogue.positions_of(rules.only)),
        hidden=hidden,
        lifts=lifts,
        notices=tuple(notices("no_such_value", "No item has {} as a condition asks.", absent)),
    )


def check_attributes(rules: Rules, attributes: Attributes) -> tuple[Notice, ...]:
    """Return what is to be told of the rules' conditions, before a model is there.

    Raises:
        RuleError: the rules speak of attributes that the items don't have.
    """
    nothing = np.zeros(len(attributes), dtype=np.bool_)
    return make_layer(rules, Catalogue(NO_IDS, np.empty(0, dtype=np.int32), nothing, NO_IDS, attributes)).notices


def bind(layers: Sequence[Layer], catalogue: Catalogue) -> BoundRules:
    """Unite layers, the lowest first.

    Id lists unite, `only` and include.where intersect, exclude.where unites, at_most is taken attribute by attribute; a
    higher layer's other values replace.
    """
    rules = [layer.rules for layer in layers]
    n_items = len(catalogue.ids)
    forced, unsold, overruled = _included(rules, catalogue)
    n_popular = popular_count(_highest([layer.popular for layer in rules]), n_items)
    only = _intersection([layer.only for layer in layers])
    excluded = [layer.excluded for layer in layers]
    unknown, kind = UNKNOWN[catalogue.kind], catalogue.kind
    left_out = f"Included {kind} {{}} is left out: exclude.{kind}s stands above include.{kind}s."
    return BoundRules(
        forced=forced,
        unsold=unsold,
        among=None if only is None else _sold(only, catalogue),
        hidden=_union([layer.hidden for layer in layers]),
        excluded=(*(_sold(positions, catalogue) for positions in excluded), _most_popular(n_popular, catalogue)),
        unsold_among=None if only is None else only[only >= n_items],
        unsold_barred=_beyond([*excluded, [u.position for u in unsold if u.position is not None]], catalogue),
        new=_highest([layer.new for layer in rules]) or 0,
        first=_highest([layer.placement for layer in rules]) == "first",
        purchased=bool(_highest([layer.purchased for layer in rules])),
        lifts=_highest([layer.lifts for layer in layers]) or (),
        caps=_caps(rules, catalogue),
        layers=tuple(layers),
        notices=(
            *(notice for layer in layers for notice in layer.notices),
            *notices(*unknown, [item for item, _ in unsold]),
            *notices("include_overruled", left_out, overruled),
        ),
    )


def _included(rules: Sequence[Rules], catalogue: Catalogue) -> tuple[Positions, tuple[Unsold, ...], Collection[str]]:
    """Return the positions of included items, in the order given, those never sold, and those that are overruled."""
    if not any(layer.include_items for layer in rules):
        return NONE, (), ()
    n_items = len(catalogue.ids)
    asked = dict.fromkeys(item for layer in rules for item in layer.include_items)
    overruled = {item: None for item in asked if any(item in layer.exclude_items for layer in rules)}
    known = {item: catalogue.position_of(item) for item in asked if item not in overruled}
    sold = {item: position for item, position in known.items() if position is not None and position < n_items}
    unsold = tuple(Unsold(item, known[item]) for item in sorted(known) if item not in sold)
    return np.array(list(sold.values()), dtype=np.int64), unsold, overruled


def without_history(rules: BoundRules, history: Collection[str], catalogue: Catalogue) -> BoundRules:
    """Return the rules with a history's items that were never sold kept out, where purchases are."""
    if not rules.purchased or not history or not len(catalogue.unsold):
        return rules
    return rules.keeping_out(NONE, catalogue.unsold.positions_of(history) + len(catalogue.ids))


def unsold_candidates(rules: BoundRules, catalogue: Catalogue) -> Positions:
    """Return the extended positions, in id order, of the unsold items that may fill `new`."""
    beyond = np.arange(len(catalogue.ids), len(catalogue.new)) if rules.unsold_among is None else rules.unsold_among
    if rules.hidden is not None:
        beyond = beyond[~rules.hidden[beyond]]
    return np.setdiff1d(beyond, rules.unsold_barred, assume_unique=True)


def _hidden(rules: Rules, catalogue: Catalogue) -> Mask | None:
    kept = None if rules.include_where is None else ~catalogue.mask(rules.include_where, "include.where")
    out = None if rules.exclude_where is None else catalogue.mask(rules.exclude_where, "exclude.where")
    return _union([kept, out])


def _lift(lift: Lift, catalogue: Catalogue) -> BoundLift:
    if lift.where is not None:
        return BoundLift(catalogue.mask(lift.where, f"{lift.path}.where"), lift.by)
    mask = np.zeros(len(catalogue.new), dtype=np.bool_)
    mask[catalogue.positions_of(lift.items or ())] = True
    return BoundLift(mask, lift.by)


def _most_popular(count: int, catalogue: Catalogue) -> Positions:
    return catalogue.by_popularity[:count].astype(np.int64) if count else NONE


def _caps(rules: Sequence[Rules], catalogue: Catalogue) -> tuple[Cap, ...]:
    united = {name: most for layer in rules for name, most in layer.at_most or ()}
    return tuple(Cap(catalogue.attributes.groups(name, f"at_most.{name[:80]}"), most) for name, most in united.items())


def _absent(where: Where, catalogue: Catalogue) -> list[str]:
    return [f"{name} {value}" for name, value in catalogue.attributes.absent(where)]


def _highest(values: Sequence[T | None]) -> T | None:
    """Return what the highest layer that says anything says."""
    return next((value for value in reversed(values) if value is not None), None)


def _union(masks: Sequence[Mask | None]) -> Mask | None:
    there = [mask for mask in masks if mask is not None]
    return reduce(np.logical_or, there) if there else None


def _intersection(sets: Sequence[Positions | None]) -> Positions | None:
    there = [positions for positions in sets if positions is not None]
    return reduce(lambda one, other: np.intersect1d(one, other, assume_unique=True), there) if there else None


def _sold(positions: Positions, catalogue: Catalogue) -> Positions:
    """Return those of extended positions that are no unsold items'."""
    return positions[positions < len(catalogue.ids)] if len(catalogue.unsold) else positions


def _beyond(sets: Sequence[npt.ArrayLike], catalogue: Catalogue) -> Positions:
    """Return the ascending positions of sets that are those of unsold items."""
    if not len(catalogue.unsold):
        return NONE
    joined = np.concatenate([NONE, *(np.asarray(positions, dtype=np.int64) for positions in sets)])
    return np.unique(joined[joined >= len(catalogue.ids)])
