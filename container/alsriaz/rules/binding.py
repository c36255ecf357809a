"""Rules bound to what they speak of: ids become positions, conditions become masks, layers become one.

Precedence: exclude.items > include.items > only, where > exclude.purchased, exclude.popular, exclude.where.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any, NamedTuple

import numpy as np

from alsriaz.errors import BadValue
from alsriaz.model.arrays import NONE, Mask, Positions
from alsriaz.platform.values import shown
from alsriaz.rules.rows import RULES, Cap, Effect, Join, Lift, Rules
from alsriaz.rules.side import Side

MOST_NOTICES = 20  # of one kind: a request may name 100,000 ids


class Notice(NamedTuple):
    """A warning that travels with an answer: nothing failed, but the caller should know."""

    code: str
    message: str


def notices(code: str, message: str, ids: Iterable[str]) -> list[Notice]:
    """Return a warning for each id; beyond `MOST_NOTICES` the last one says how many more there are."""
    named = list(ids)
    told = [Notice(code, message.format(shown(one))) for one in named[:MOST_NOTICES]]
    if len(named) > MOST_NOTICES:
        told.append(Notice(code, f"The same holds for {len(named) - MOST_NOTICES} more."))
    return told


_UNKNOWN = {
    "item": ("never_sold", "Included item {} was never sold: it has no score."),
    "customer": ("not_in_model", "Included customer {} is not in the model: there is no score."),
}


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of rules, looked up once: the effects of those that speak of a side, by path, and warnings."""

    effects: Mapping[str, Effect]
    notices: tuple[Notice, ...]


def make_layer(rules: Rules, side: Side) -> Layer:
    """Look up one layer; ids that nobody knows have no effect in `exclude` and `only`.

    Raises:
        BadValue: a condition, a boost or a cap speaks of an attribute that the items don't have.
    """
    effects = {
        rule.path: rule.bind(rules.values[rule.path], side, rule.path)
        for rule in RULES
        if rule.path in rules.values and rule.side in (side.kind, "both")
    }
    absent = dict.fromkeys(told for effect in effects.values() for told in effect.absent)
    return Layer(effects, tuple(notices("no_such_value", "No item has {} as a condition asks.", absent)))


class Unscored(NamedTuple):
    """Something included that has no score; `position` is its extended one where the shop's table has it."""

    id: str
    position: int | None


@dataclass(frozen=True, eq=False)
class Bound:
    """Rules bound to what is ranked.

    Attributes:
        effects: of all layers, where a highest one replaces the others that one alone.
        forced: positions of what is included, in the order given.
        unscored: what is included without a score, in id order.
        among: ascending positions of what may fill the list, None for all.
        hidden: by extended position True for what may not fill it, None for nothing.
        barred: positions of what may not fill it, an array for each rule that says so; the forced have their places.
        unsold_among: ascending extended positions of unsold items that may fill it, None for all.
        unsold_barred: extended positions of unsold items that may not.
        new: at least so many new items are wanted.
        first: True where forced ones come first, then new ones, then the rest.
        purchased: True where what the customer bought may not fill the list.
        lifts: what lifts scores.
        caps: how much of one value a list may hold.
        told: warnings about conditions.
        notices: all warnings, of every list alike.
    """

    effects: tuple[Effect, ...]
    forced: Positions
    unscored: tuple[Unscored, ...]
    among: Positions | None
    hidden: Mask | None
    barred: tuple[Positions, ...]
    unsold_among: Positions | None
    unsold_barred: Positions
    new: int
    first: bool
    purchased: bool
    lifts: tuple[Lift, ...]
    caps: tuple[Cap, ...]
    told: tuple[Notice, ...]
    notices: tuple[Notice, ...]

    @cached_property
    def plain(self) -> bool:
        """True where no rule but that on purchases has a say in a list."""
        free = self.among is None and self.hidden is None and not self.barred and not self.lifts
        return free and self.by_score_alone

    @cached_property
    def by_score_alone(self) -> bool:
        """True where a list holds the best by score that may fill it, and nothing else."""
        return not (len(self.forced) or self.unscored or self.new or self.caps)

    def keeping_out(self, positions: Positions, unsold: Positions = NONE) -> "Bound":
        """Return these rules with more that may not fill a list, `unsold` at extended positions."""
        barred = np.union1d(self.unsold_barred, unsold)
        return replace(self, barred=(*self.barred, positions), unsold_barred=barred)

    def without_history(self, history: Collection[str], side: Side) -> "Bound":
        """Return these rules with a history's items that were never sold kept out, where purchases are."""
        if not self.purchased or not history or not len(side.unsold):
            return self
        return self.keeping_out(NONE, side.unsold.positions_of(history) + len(side.ids))

    def filters_only(self) -> "Bound":
        """Return these rules without what must appear and without caps: they filter and boost, and that is all."""
        return replace(self, forced=NONE, unscored=(), new=0, first=False, caps=(), notices=self.told)

    def lets_through(self, outside_id: str, position: int | None) -> bool:
        """True where something without a score, at this extended position if any, is kept out by no filter."""
        for effect in self.effects:
            if outside_id in effect.excluded or (effect.only is not None and outside_id not in effect.only):
                return False
        if position is None:
            return not any(effect.described for effect in self.effects)
        return self.hidden is None or not bool(self.hidden[position])

    def room(self, k: int, path: str = "include.items") -> int:
        """Return how many places of a list of `k` are left to fill; BadValue where more than `k` must appear."""
        included = len(self.forced) + len(self.unscored)
        if included > k:
            kind = path.rpartition(".")[2]
            message = f"{path} has {included} {kind} that must appear (standing rules count), but k is {k}."
            raise BadValue(path, message)
        return k - included

    def unsold_candidates(self, side: Side) -> Positions:
        """Return the extended positions, in id order, of the unsold items that may fill `new`."""
        beyond = np.arange(len(side.ids), len(side.new)) if self.unsold_among is None else self.unsold_among
        if self.hidden is not None:
            beyond = beyond[~self.hidden[beyond]]
        return np.setdiff1d(beyond, self.unsold_barred, assume_unique=True)


def bind(layers: Sequence[Layer], side: Side) -> Bound:
    """Join layers, the lowest first, each rule as its row says."""
    effects = tuple(_joined(layers))
    n_ranked = len(side.ids)
    forced, unscored, overruled = _included(effects, side)
    only = _intersection(effect.among for effect in effects)
    barred = [effect.barred for effect in effects if effect.barred is not None]
    told = tuple(notice for layer in layers for notice in layer.notices)
    unknown, kind = _UNKNOWN[side.kind], side.kind
    left_out = f"Included {kind} {{}} is left out: exclude.{kind}s stands above include.{kind}s."
    own = np.array([one.position for one in unscored if one.position is not None], dtype=np.int64)
    return Bound(
        effects=effects,
        forced=forced,
        unscored=unscored,
        among=None if only is None else side.scored(only),
        hidden=_union([effect.hidden for effect in effects]),
        barred=tuple(side.scored(positions) for positions in barred if len(positions)),
        unsold_among=None if only is None else only[only >= n_ranked],
        unsold_barred=_beyond([*barred, own], side),
        new=max((effect.new for effect in effects), default=0),
        first=any(effect.first for effect in effects),
        purchased=any(effect.purchased for effect in effects),
        lifts=tuple(lift for effect in effects for lift in effect.lifts),
        caps=tuple({cap.name: cap for effect in effects for cap in effect.caps}.values()),
        told=told,
        notices=(
            *told,
            *notices(*unknown, [one.id for one in unscored]),
            *notices("include_overruled", left_out, overruled),
        ),
    )


def _joined(layers: Sequence[Layer]) -> Iterable[Effect]:
    """Yield the effects that hold, rule by rule, of the lowest layer first."""
    for rule in RULES:
        said = [layer.effects[rule.path] for layer in layers if rule.path in layer.effects]
        yield from said[-1:] if rule.join is Join.REPLACE else said


def _included(effects: Sequence[Effect], side: Side) -> tuple[Positions, tuple[Unscored, ...], Collection[str]]:
    """Return the positions of what is included, in the order given, what has no score, and what is overruled."""
    asked = dict.fromkeys(one for effect in effects for one in effect.included)
    if not asked:
        return NONE, (), ()
    overruled = {one: None for one in asked if any(one in effect.excluded for effect in effects)}
    known = {one: side.position_of(one) for one in asked if one not in overruled}
    n_ranked = len(side.ids)
    scored = {one: position for one, position in known.items() if position is not None and position < n_ranked}
    unscored = tuple(Unscored(one, known[one]) for one in sorted(known) if one not in scored)
    return np.array(list(scored.values()), dtype=np.int64), unscored, overruled


def _union(masks: Sequence[Mask | None]) -> Mask | None:
    there = [mask for mask in masks if mask is not None]
    return reduce(np.logical_or, there) if there else None


def _intersection(sets: Iterable[Positions | None]) -> Positions | None:
    there = [positions for positions in sets if positions is not None]
    return reduce(lambda one, other: np.intersect1d(one, other, assume_unique=True), there) if there else None


def _beyond(sets: Sequence[Positions], side: Side) -> Positions:
    """Return the ascending positions of sets that are those of unsold items."""
    if not len(side.unsold):
        return NONE
    joined: Any = np.concatenate([NONE, *sets])
    return np.unique(joined[joined >= len(side.ids)])
