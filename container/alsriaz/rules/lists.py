"""A list under the shop's rules: filter first, then rank. A list holds k items whenever k candidates are left.

Page 1 is the list: included items, then by score what may fill it, with at least so many new items as are asked for.
Where those by score hold too few new ones, the best new ones that were left out get their places first: scored ones by
score, then unsold ones in id order. Every later page goes on through the same candidates by score, without page 1's;
what `at_most` keeps off one page stands on the next that has room for it: nothing repeats, nothing is skipped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from alsriaz.model.ids import Positions
from alsriaz.rules.binding import BoundRules, unsold_candidates
from alsriaz.rules.catalogue import Catalogue
from alsriaz.rules.lifting import lifted
from alsriaz.rules.notices import Notice
from alsriaz.rules.variety import dealt, with_room, within_caps
from alsriaz.scoring.ranking import NONE, Ranked, Wanted, best_of_each
from alsriaz.scoring.scorers import Scorer, Scores

_DEEPER = 32  # each step scores everything again, which costs more than to rank many
_NO_SCORES = np.empty(0, dtype=np.float32)


class Pick(NamedTuple):
    """One place of a list.

    `score` is None for an item that was never sold, the (extended) `position` for one that nobody knows.
    """

    item: str
    score: np.float32 | None
    reason: str
    position: int | None


@dataclass(frozen=True)
class Ask:
    """What one row of a scorer wants.

    Attributes:
        k: how many recommendations are wanted, at least 1.
        rules: what may, must and may not appear.
        purchased: positions of what may not appear where `rules.purchased`.
        reason: what picks that got there by score are called.
        offset: how many places come before the wanted page; a multiple of `k`.
        included: the field that names what must appear, for the error.
    """

    k: int
    rules: BoundRules
    purchased: Positions = field(default_factory=lambda: NONE)
    reason: str = "model"
    offset: int = 0
    included: str = "include.items"

    def __post_init__(self) -> None:
        """Raise RuleError where more than `k` items must appear."""
        self.rules.room(self.k, self.included)

    @property
    def room(self) -> int:
        """How many places are left for what needn't appear."""
        return self.rules.room(self.k, self.included)

    def candidates(self, n_items: int) -> int:
        """Return how many of `n_items` the list could hold were it long enough, those that must appear with them."""
        must = len(self.rules.forced) + len(self.rules.unsold)
        return self.wanted(0).n_candidates(n_items) + must

    def wanted(self, depth: int, among: Positions | None = None) -> Wanted:
        """Return what to rank, `depth` deep; `among` says it more narrowly than the rules do."""
        rules = self.rules
        barred = (*rules.barred, self.purchased) if rules.purchased else rules.barred
        return Wanted(depth, rules.among if among is None else among, rules.hidden, barred)


@dataclass(frozen=True)
class ItemList:
    """One page of a list, its own warnings, and whether there are candidates beyond it."""

    picks: list[Pick]
    notices: list[Notice]
    more: bool


def make_lists(scorer: Scorer, asks: Sequence[Ask], catalogue: Catalogue) -> list[ItemList]:
    """Return the list that each row of `scorer` asks for; a row's list never depends on the other rows."""
    scorer = lifted(scorer, [(ask.rules.lifts, ask.wanted(0)) for ask in asks])
    drafts = [_Draft(scorer, row, ask, catalogue) for row, ask in enumerate(asks)]
    _rank(scorer, drafts)
    for draft, scores in zip(drafts, _forced_scores(scorer, asks), strict=True):
        draft.forced_scores = scores
    short = [draft for draft in drafts if draft.wants_new()]
    if short:
        _rank_new(scorer, short, catalogue)
    return [draft.page() for draft in drafts]


class _Draft:
    """The list of one row while it is being put together."""

    def __init__(self, scorer: Scorer, row: int, ask: Ask, catalogue: Catalogue) -> None:
        self._scorer = scorer
        self.row = row
        self.ask = ask
        self._catalogue = catalogue
        self._room = ask.room
        places = self._room + ask.offset
        self.depth = 4 * places + 64 if ask.rules.caps else places + 1  # one more tells whether there is a next page
        self.ranked = Ranked(NONE, _NO_SCORES)
        self.new = Ranked(NONE, _NO_SCORES)
        self.forced_scores = _NO_SCORES
        known = [unsold.position for unsold in ask.rules.unsold if unsold.position is not None]
        self._included = np.concatenate([ask.rules.forced, np.array(known, dtype=np.int64)])

    @property
    def exhausted(self) -> bool:
        """True where `ranked` holds every candidate."""
        return len(self.ranked.positions) < self.depth

    def deepen(self) -> None:
        """Rank further."""
        self.depth *= _DEEPER
        (self.ranked,) = best_of_each(self._scorer.take([self.row]), [self.ask.wanted(self.depth)])

    def natural(self) -> Positions:
        """Return the places in `ranked` that the list takes by score alone."""
        return self._taken(NONE, self._room, self._included)

    def wants_new(self) -> bool:
        """True where fewer new items than asked for get there by score."""
        if not self.ask.rules.new or not self._room:
            return False
        natural = self.natural()  # first: it may rank deeper
        return self._count_new(self._included, self.ranked.positions[natural]) < self.ask.rules.new

    def page(self) -> ItemList:
        """Return the page that is asked for."""
        chosen, added, unsold = self._first_page()
        if not self.ask.offset:
            told = self._told_new(self.ranked.positions[chosen], added.positions, unsold)
            left = not self.exhausted or len(chosen) < len(self._apart(added.positions))
            return ItemList(self._picks(chosen, added, unsold), told, left)
        taken = np.union1d(self.ranked.positions[chosen], added.positions)
        return self._later_page(taken)

    def _first_page(self) -> tuple[Positions, Ranked, Positions]:
        """Return places in `ranked`, the new items that come before those by score, and unsold ones."""
        rules = self.ask.rules
        natural = self.natural()
        wanted = rules.new - self._count_new(self._included)
        if not self.wants_new():
            return natural, Ranked(NONE, _NO_SCORES), NONE
        most = min(wanted, self._room)
        places = within_caps(self.new.positions, most, rules.caps, self._included)
        reserved = Ranked(self.new.positions[places], self.new.scores[places])
        unsold = NONE
        if len(places) < most:
            beyond = unsold_candidates(rules, self._catalogue)
            counted = np.concatenate([self._included, reserved.positions])
            unsold = beyond[within_caps(beyond, most - len(places), rules.caps, counted)]
        counted = np.concatenate([self._included, reserved.positions, unsold])
        chosen = self._taken(reserved.positions, self._room - len(places) - len(unsold), counted)
        return chosen, reserved, unsold

    def _taken(self, without: Positions, most: int, counted: Positions) -> Positions:
        """Return places in `ranked`, ascending, that caps let through, ranking deeper as long as that may find more."""
        while True:
            open_places = np.flatnonzero(~np.isin(self.ranked.positions, without)) if len(without) else None
            positions = self.ranked.positions if open_places is None else self.ranked.positions[open_places]
            places = within_caps(positions, most, self.ask.rules.caps, counted)
            if len(places) == most or self.exhausted or self._closed([counted, positions[places]]):
                return places if open_places is None else open_places[places]
            self.deepen()

    def _closed(self, held: list[Positions]) -> bool:
        """True where caps keep off all that is not ranked yet from a list that holds these; that costs less to see."""
        if not self.ask.rules.caps:
            return False
        left = self.ask.wanted(0).candidates(self._scorer.n_items)
        left[self.ranked.positions] = False
        return not np.any(left & with_room(self.ask.rules.caps, np.concatenate(held))[: len(left)])

    def _later_page(self, taken: Positions) -> ItemList:
        """Deal the candidates without page 1's into pages, and return the one at the offset."""
        ask = self.ask
        while True:
            left = self._apart(taken)
            page, held = dealt(self.ranked.positions[left], ask.k, ask.rules.caps, ask.offset // ask.k)
            if len(page) == ask.k or self.exhausted:
                return ItemList(self._picks_by_score(left[page]), [], held < len(left) or not self.exhausted)
            self.deepen()

    def _apart(self, positions: Positions) -> Positions:
        return np.flatnonzero(~np.isin(self.ranked.positions, positions))

    def _picks(self, chosen: Positions, added: Ranked, unsold: Positions) -> list[Pick]:
        """Join what must appear, what gets there by score, and new items into one list; null scores come last."""
        rules, catalogue = self.ask.rules, self._catalogue
        if not (len(rules.forced) or rules.unsold or len(added.positions) or len(unsold)):
            return self._picks_by_score(chosen)
        natural = self.natural() if len(added.positions) else NONE
        by_score = set(self.ranked.positions[natural].tolist())
        entries = [
            (0, float(score), position, Pick(catalogue.id_at(position), score, "included", position))
            for position, score in zip(rules.forced.tolist(), self.forced_scores, strict=True)
        ]
        positions, scores = self.ranked.positions[chosen].tolist(), self.ranked.scores[chosen].tolist()
        placed = zip(scores, positions, self._picks_by_score(chosen), strict=True)
        rest = [(2, score, position, pick) for score, position, pick in placed]
        for position, score in zip(added.positions.tolist(), added.scores, strict=True):
            among_best = position in by_score
            reason = self.ask.reason if among_best else "new"
            pick = Pick(catalogue.id_at(position), score, reason, position)
            rest.append((2 if among_best else 1, float(score), position, pick))
        if rules.first:
            entries += sorted(rest, key=lambda entry: (entry[0], -entry[1], entry[2]))
        else:
            entries += rest
            if len(entries) > len(chosen):
                entries.sort(key=lambda entry: (-entry[1], entry[2]))
        scoreless = [Pick(item, None, "included", position) for item, position in rules.unsold]
        scoreless += [Pick(catalogue.id_at(position), None, "new", position) for position in unsold.tolist()]
        return [pick for *_, pick in entries] + sorted(scoreless, key=lambda pick: pick.item)

    def _picks_by_score(self, places: Positions) -> list[Pick]:
        positions, scores = self.ranked.positions[places].tolist(), self.ranked.scores[places]
        id_at, reason = self._catalogue.id_at, self.ask.reason
        return [Pick(id_at(p), score, reason, p) for p, score in zip(positions, scores, strict=True)]

    def _told_new(self, *chosen: Positions) -> list[Notice]:
        wanted, have = self.ask.rules.new, 0
        if wanted:
            have = self._count_new(self._included, *chosen)
        if have >= wanted:
            return []
        return [Notice("too_few_new", f"include.new asks for {wanted} new items, {have} could appear.")]

    def _count_new(self, *positions: Positions) -> int:
        return sum(int(np.count_nonzero(self._catalogue.new[some])) for some in positions)


def _rank(scorer: Scorer, drafts: Sequence[_Draft]) -> None:
    """Rank the candidates of all rows at once."""
    for draft, ranked in zip(drafts, best_of_each(scorer, [d.ask.wanted(d.depth) for d in drafts]), strict=True):
        draft.ranked = ranked


def _rank_new(scorer: Scorer, drafts: Sequence[_Draft], catalogue: Catalogue) -> None:
    """Rank the new items of the rows that get too few of them by score."""
    new = np.flatnonzero(catalogue.new[: len(catalogue.ids)])
    wanted = []
    for draft in drafts:
        among = draft.ask.rules.among
        most = len(new) if draft.ask.rules.caps else min(draft.ask.rules.new, draft.ask.room)
        wanted.append(draft.ask.wanted(most, new if among is None else np.intersect1d(new, among, assume_unique=True)))
    some = scorer.take([draft.row for draft in drafts])
    for draft, ranked in zip(drafts, best_of_each(some, wanted), strict=True):
        draft.new = ranked


def _forced_scores(scorer: Scorer, asks: Sequence[Ask]) -> Iterator[Scores]:
    """Yield the scores of each row's forced items."""
    if not any(len(ask.rules.forced) for ask in asks):
        yield from [_NO_SCORES] * len(asks)
        return
    counts = [len(ask.rules.forced) for ask in asks]
    rows = np.repeat(np.arange(len(asks)), counts)
    forced = np.concatenate([NONE, *(ask.rules.forced for ask in asks)])
    scores = scorer.exact(rows, forced)
    yield from np.split(scores, np.cumsum(counts)[:-1]) if counts else ()
