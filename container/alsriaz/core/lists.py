"""A recommended list under the shop's rules: filter first, then rank.

Precedence: exclude.items > include.items > only > exclude.purchased, exclude.popular. A list holds k items whenever k
candidates are left.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from alsriaz.core.errors import RuleError
from alsriaz.core.ids import IdTable, Positions
from alsriaz.core.ranking import NONE, Ranked, Scorer, best
from alsriaz.core.rules import Rules, popular_count
from alsriaz.core.setting import shown

T = TypeVar("T")

MOST_NOTICES = 20


class Pick(NamedTuple):
    """One place of a list. `score` is None for an included item that was never sold."""

    item: str
    score: np.float32 | None
    reason: str


class Notice(NamedTuple):
    """A warning that travels with an answer."""

    code: str
    message: str


@dataclass(frozen=True)
class Catalogue:
    """What rules need to know of the items.

    Attributes:
        ids: the items' ids.
        by_popularity: shape (n_items,), positions by number of customers, most first, ties by position.
        new: shape (n_items,), True for the items that are new on the window's last day.
    """

    ids: IdTable
    by_popularity: npt.NDArray[np.int32]
    new: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Layer:
    """One layer of rules and the positions of its ids, so that standing rules are looked up once and not per request.

    Attributes:
        rules: the rules.
        excluded: positions of exclude.items.
        only: ascending positions of include.only, None where the layer doesn't say.
    """

    rules: Rules
    excluded: Positions
    only: Positions | None


@dataclass(frozen=True)
class BoundRules:
    """Rules bound to a catalogue.

    Attributes:
        forced: positions of included items, in the order given.
        unsold: included ids that the model doesn't know, in id order.
        among: ascending positions of the items that may fill the list, None for all.
        barred: positions of items that may not fill it, the forced ones with them (they have their places).
        new: at least so many new items are wanted.
        first: True where forced items come first, then new ones, then the rest.
        purchased: True where what the customer bought may not fill the list.
        notices: what the caller should know, of every list alike.
    """

    forced: Positions
    unsold: tuple[str, ...]
    among: Positions | None
    barred: Positions
    new: int
    first: bool
    purchased: bool
    notices: tuple[Notice, ...]

    def room(self, k: int) -> int:
        """Return how many items of a list of `k` are left to fill; RuleError where more than `k` must appear."""
        included = len(self.forced) + len(self.unsold)
        if included > k:
            message = f"include.items has {included} items that must appear (standing rules count), but k is {k}."
            raise RuleError("include.items", message)
        return k - included

    def candidates(self, n_items: int, purchased: Positions | None = None) -> int:
        """Return how many items a list could hold were it long enough, those that must appear with them.

        Args:
            n_items: how many items the model has.
            purchased: positions of what the customer bought, in any order; counts where `purchased` is among the rules.
        """
        included = len(self.forced) + len(self.unsold)
        gone = [self.barred, purchased] if self.purchased and purchased is not None else [self.barred]
        if self.among is None and not any(len(positions) for positions in gone):
            return n_items + included
        free = np.zeros(n_items, dtype=np.bool_) if self.among is not None else np.ones(n_items, dtype=np.bool_)
        if self.among is not None:
            free[self.among] = True
        for positions in gone:
            free[positions] = False
        return int(np.count_nonzero(free)) + included


def make_layer(rules: Rules, catalogue: Catalogue) -> Layer:
    """Look up the ids of one layer; those that the model doesn't know have no effect in `exclude` and `only`."""
    only = None if rules.only is None else np.unique(catalogue.ids.positions_of(rules.only))
    return Layer(rules, catalogue.ids.positions_of(rules.exclude_items), only)


def bind(layers: Sequence[Layer], catalogue: Catalogue) -> BoundRules:
    """Unite layers, the lowest first: id lists unite, `only` intersects, a higher layer's other values replace."""
    rules = [layer.rules for layer in layers]
    asked = dict.fromkeys(item for layer in rules for item in layer.include_items)
    overruled = {item: None for item in asked if any(item in layer.exclude_items for layer in rules)}
    known = {item: catalogue.ids.position_of(item) for item in asked if item not in overruled}
    forced = np.array([position for position in known.values() if position is not None], dtype=np.int64)
    unsold = tuple(sorted(item for item, position in known.items() if position is None))
    n_popular = popular_count(_highest([layer.popular for layer in rules]), len(catalogue.ids))
    popular = catalogue.by_popularity[:n_popular].astype(np.int64)
    only = [layer.only for layer in layers if layer.only is not None]
    never_sold = "Included item {} was never sold: it has no score."
    left_out = "Included item {} is left out: exclude.items stands above include.items."
    return BoundRules(
        forced=forced,
        unsold=unsold,
        among=reduce(_common, only) if only else None,
        barred=_joined([*(layer.excluded for layer in layers), popular, forced]),
        new=_highest([layer.new for layer in rules]) or 0,
        first=_highest([layer.placement for layer in rules]) == "first",
        purchased=bool(_highest([layer.purchased for layer in rules])),
        notices=(*notices("never_sold", never_sold, unsold), *notices("include_overruled", left_out, overruled)),
    )


def notices(code: str, message: str, ids: Iterable[str]) -> list[Notice]:
    """Return a warning for each id; beyond `MOST_NOTICES` the last one says how many more there are."""
    named = list(ids)
    told = [Notice(code, message.format(shown(one))) for one in named[:MOST_NOTICES]]
    if len(named) > MOST_NOTICES:
        told.append(Notice(code, f"The same holds for {len(named) - MOST_NOTICES} more."))
    return told


def make_lists(
    scorer: Scorer,
    k: int,
    rules: BoundRules,
    catalogue: Catalogue,
    purchased: Sequence[Positions] | None,
    reason: str = "model",
) -> list[tuple[list[Pick], list[Notice]]]:
    """Return a list for each row of `scorer`, with its own warnings.

    Args:
        scorer: the rows' scores.
        k: how many recommendations are wanted.
        rules: what may, must and may not appear.
        catalogue: the items.
        purchased: for each row the positions of what it bought; needed where `rules.purchased`.
        reason: what picks that got there by score are called: "model", or "popular" where scores are popularity.

    Raises:
        RuleError: more than `k` items must appear.
    """
    room = rules.room(k)
    bought = purchased if rules.purchased else None
    filled = best(scorer, room, among=rules.among, barred=rules.barred, row_barred=bought)
    extra = [0] * scorer.n_rows
    if rules.new:
        forced_new = int(np.count_nonzero(catalogue.new[rules.forced]))
        extra = [rules.new - forced_new - int(np.count_nonzero(catalogue.new[row.positions])) for row in filled]
    quota = _new_items(scorer, room, rules, catalogue, bought, filled) if max(extra, default=0) > 0 else filled
    forced = _forced_scores(scorer, rules.forced)
    return [
        _assemble(rules, catalogue, forced[row], filled[row], quota[row], extra[row], reason)
        for row in range(scorer.n_rows)
    ]


def _new_items(
    scorer: Scorer,
    room: int,
    rules: BoundRules,
    catalogue: Catalogue,
    bought: Sequence[Positions] | None,
    filled: list[Ranked],
) -> list[Ranked]:
    """Return for each row its best new items beyond those already in `filled`."""
    new = np.flatnonzero(catalogue.new)
    among = new if rules.among is None else _common(new, rules.among)
    taken = [ranked.positions for ranked in filled]
    if bought is not None:
        taken = [np.concatenate(both) for both in zip(bought, taken, strict=True)]
    return best(scorer, min(rules.new, room), among=among, barred=rules.barred, row_barred=taken)


def _forced_scores(scorer: Scorer, forced: Positions) -> npt.NDArray[np.float32]:
    if not len(forced):
        return np.empty((scorer.n_rows, 0), dtype=np.float32)
    rows = np.repeat(np.arange(scorer.n_rows), len(forced))
    return scorer.exact(rows, np.tile(forced, scorer.n_rows)).reshape(scorer.n_rows, len(forced))


def _assemble(
    rules: BoundRules,
    catalogue: Catalogue,
    forced_scores: npt.NDArray[np.float32],
    filled: Ranked,
    quota: Ranked,
    extra: int,
    reason: str,
) -> tuple[list[Pick], list[Notice]]:
    """Join forced items, items by score and the `extra` new items still wanted into one list."""
    natural = list(zip(filled.positions.tolist(), filled.scores, strict=True))
    added: list[tuple[int, np.float32]] = []
    told: list[Notice] = []
    if extra > 0:
        # A list that is not full has taken every candidate, the new ones among them: then `quota` is empty.
        replaceable = sum(not catalogue.new[position] for position, _ in natural)
        added = list(zip(quota.positions.tolist(), quota.scores, strict=True))[: min(extra, replaceable)]
        natural = _without_last_old(natural, catalogue.new, len(added))
        if len(added) < extra:
            have = rules.new - extra + len(added)
            told.append(Notice("too_few_new", f"include.new asks for {rules.new} new items, {have} could appear."))
    entries = [
        (0, position, score, "included") for position, score in zip(rules.forced.tolist(), forced_scores, strict=True)
    ]
    entries += [(1, position, score, "new") for position, score in added]
    entries += [(2, position, score, reason) for position, score in natural]
    if rules.first:
        entries[len(rules.forced) :] = sorted(entries[len(rules.forced) :], key=lambda e: (e[0], -e[2], e[1]))
    elif len(entries) > len(natural):
        entries.sort(key=lambda e: (-e[2], e[1]))
    picks = [Pick(catalogue.ids.id_at(position), score, why) for _, position, score, why in entries]
    return picks + [Pick(item, None, "included") for item in rules.unsold], told


def _without_last_old(
    natural: list[tuple[int, np.float32]], new: npt.NDArray[np.bool_], surplus: int
) -> list[tuple[int, np.float32]]:
    """Return `natural` without its `surplus` lowest entries that are not new."""
    kept = []
    for entry in reversed(natural):
        if surplus > 0 and not new[entry[0]]:
            surplus -= 1
        else:
            kept.append(entry)
    return kept[::-1]


def _highest(values: Sequence[T | None]) -> T | None:
    """Return what the highest layer that says anything says."""
    return next((value for value in reversed(values) if value is not None), None)


def _common(first: Positions, second: Positions) -> Positions:
    return np.intersect1d(first, second, assume_unique=True)


def _joined(parts: Sequence[Positions]) -> Positions:
    """Return all positions together; one part alone is not copied."""
    filled = [part for part in parts if len(part)]
    return filled[0] if len(filled) == 1 else np.concatenate(filled) if filled else NONE
