"""A list under the shop's rules: filter first, then rank. A list holds k whenever k candidates are left.

Page 1 is the list: what is included, then by score what may fill it, with at least so many new items as are asked for.
Where those by score hold too few new ones, the best new ones that were left out get their places first: scored ones by
score, then unsold ones in id order. Every later page goes on through the same candidates by score, without page 1's;
what `at_most` keeps off one page stands on the next that has room for it: nothing repeats, nothing is skipped.

A boost by 1.3 adds 0.3 standard deviations of the candidates' scores. (To multiply would push down an item whose score
is below 0.) The deviation is over what may fill the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import orjson

from alsriaz.model.arrays import NONE, Positions, Scores
from alsriaz.rules.binding import Bound, Notice
from alsriaz.rules.caps import dealt, with_room, within_caps
from alsriaz.rules.side import Side
from alsriaz.scoring.best import NOTHING, Ranked, Wanted, best_of_each
from alsriaz.scoring.scorer import Boost, Scorer

_DEEPER = 32  # each step scores everything again, which costs more than to rank many
_CAPPED_DEPTH = (4, 64)  # with caps: so many times the places, and so many more, are ranked at first; few lists go on


class Pick(NamedTuple):
    """One place of a list that is put together; what its fields hold is told by `Page`."""

    id: str
    score: float | None
    reason: str
    position: int | None


@dataclass(slots=True)
class Ask:
    """What one row of a scorer wants.

    Attributes:
        k: how many are wanted, at least 1.
        rules: what may, must and may not appear.
        purchased: positions of what may not appear where `rules.purchased`.
        reason: what picks that got there by score are called.
        offset: how many places come before the wanted page; a multiple of `k`.
        included: the field that names what must appear, for the error.
    """

    k: int
    rules: Bound
    purchased: Positions | None = None
    reason: str = "model"
    offset: int = 0
    included: str = "include.items"

    def __post_init__(self) -> None:
        """Raise BadValue where more than `k` must appear."""
        if not self.rules.plain:
            self.rules.room(self.k, self.included)

    @property
    def room(self) -> int:
        """How many places are left for what needn't appear."""
        return self.rules.room(self.k, self.included)

    def candidates(self, n_ranked: int) -> int:
        """Return how many the list could hold were it long enough, those that must appear with them."""
        if self.rules.plain and not self.rules.purchased:
            return n_ranked
        return self.wanted(0).n_candidates(n_ranked) + len(self.rules.forced) + len(self.rules.unscored)

    def wanted(self, depth: int, among: Positions | None = None) -> Wanted:
        """Return what to rank, `depth` deep; `among` says it more narrowly than the rules do."""
        rules, barred = self.rules, self.rules.barred
        if len(rules.forced):
            barred = (*barred, rules.forced)
        if rules.purchased and self.purchased is not None:
            barred = (*barred, self.purchased)
        return Wanted(depth, rules.among if among is None else among, rules.hidden, barred)


class Page(NamedTuple):
    """One page of a list, column by column.

    Attributes:
        ids: of what stands on it.
        scores: each the shortest decimal number that is the float32 score, None for what has none.
        reasons: why each stands there.
        positions: extended ones, None for what nobody knows.
        notices: warnings about this list alone.
        more: whether there are candidates beyond it.
    """

    ids: Sequence[str]
    scores: Sequence[float | None]
    reasons: Sequence[str]
    positions: Sequence[int | None]
    notices: Sequence[Notice] = ()
    more: bool = False


def make_pages(scorer: Scorer, asks: Sequence[Ask], side: Side) -> list[Page]:
    """Return the page that each row of `scorer` asks for; a row's page never depends on the other rows."""
    if len(asks) == 1 and asks[0].rules.plain:
        return _best_pages(side, asks, best_of_each(scorer, [asks[0].wanted(asks[0].k + asks[0].offset + 1)]))
    scorer = _boosted(scorer, asks)
    drafts = {row: _Draft(scorer, row, ask, side) for row, ask in enumerate(asks) if not ask.rules.by_score_alone}
    depths = [drafts[row].depth if row in drafts else ask.k + ask.offset + 1 for row, ask in enumerate(asks)]
    ranked = best_of_each(scorer, [ask.wanted(depth) for ask, depth in zip(asks, depths, strict=True)])
    if not drafts:
        return _best_pages(side, asks, ranked)
    _finish(scorer, drafts, ranked, side)
    others = [row for row in range(len(asks)) if row not in drafts]
    pages = {row: draft.page() for row, draft in drafts.items()}
    pages |= zip(others, _best_pages(side, [asks[row] for row in others], [ranked[row] for row in others]), strict=True)
    return [pages[row] for row in range(len(asks))]


def _best_pages(side: Side, asks: Sequence[Ask], ranked: Sequence[Ranked]) -> list[Page]:
    """Return the pages of lists that hold the best by score and nothing else."""
    if not asks:
        return []
    shown = [slice(ask.offset, ask.offset + ask.k) for ask in asks]
    parts = [found.scores[part] for found, part in zip(ranked, shown, strict=True)]
    scores = shortest(parts[0] if len(parts) == 1 else np.concatenate(parts))
    pages, start = [], 0
    for ask, found, part in zip(asks, ranked, shown, strict=True):
        positions = found.positions[part].tolist()
        end = start + len(positions)
        ids, reasons = side.ids.ids_at(positions), [ask.reason] * len(positions)
        pages.append(Page(ids, scores[start:end], reasons, positions, (), len(found.positions) > part.stop))
        start = end
    return pages


def shortest(scores: Scores) -> list[float]:
    """Return for each score the shortest decimal number that is this float32: 0.3, not 0.30000001192092896."""
    numbers: list[float] = orjson.loads(orjson.dumps(scores, option=orjson.OPT_SERIALIZE_NUMPY))
    return numbers


def _boosted(scorer: Scorer, asks: Sequence[Ask]) -> Scorer:
    if not any(ask.rules.lifts for ask in asks):
        return scorer
    boosts: list[list[Boost]] = []
    for row, ask in enumerate(asks):
        lifts = ask.rules.lifts
        scale = scorer.deviation(row, ask.wanted(0).candidates(scorer.n_ranked)) if lifts else 0.0
        boosts.append([Boost(lift.mask, (lift.by - 1) * scale) for lift in lifts])
    return scorer.boosted(boosts)


def _picks(side: Side, positions: Sequence[int], scores: Sequence[float], reason: str) -> list[Pick]:
    ids = side.ids.ids_at(positions)
    return [Pick(one, score, reason, place) for one, score, place in zip(ids, scores, positions, strict=True)]


def _finish(scorer: Scorer, drafts: dict[int, "_Draft"], ranked: Sequence[Ranked], side: Side) -> None:
    """Give drafts what they rank, and the scores of what must appear; rank new items where too few are there."""
    for row, draft in drafts.items():
        draft.ranked = ranked[row]
    forced = [draft.ask.rules.forced for draft in drafts.values()]
    counts = [len(positions) for positions in forced]
    scores = scorer.exact(np.repeat(np.array(list(drafts)), counts), np.concatenate(forced))
    for draft, own in zip(drafts.values(), np.split(scores, np.cumsum(counts)[:-1]), strict=True):
        draft.forced_scores = own
    short = [draft for draft in drafts.values() if draft.wants_new()]
    if not short:
        return
    new = np.flatnonzero(side.new[: len(side.ids)])
    wanted = []
    for draft in short:
        ask, among = draft.ask, draft.ask.rules.among
        most = len(new) if ask.rules.caps else min(ask.rules.new, ask.room)
        wanted.append(ask.wanted(most, new if among is None else np.intersect1d(new, among, assume_unique=True)))
    for draft, found in zip(short, best_of_each(scorer.take([draft.row for draft in short]), wanted), strict=True):
        draft.new = found


class _Draft:
    """The list of one row while it is being put together."""

    def __init__(self, scorer: Scorer, row: int, ask: Ask, side: Side) -> None:
        self.row = row
        self.ask = ask
        self._scorer = scorer
        self._side = side
        self._room = ask.room
        places = self._room + ask.offset
        times, more = _CAPPED_DEPTH if ask.rules.caps else (1, 1)  # one more tells whether there is a next page
        self.depth = times * places + more
        self.ranked = self.new = NOTHING
        self.forced_scores: Scores = NOTHING.scores
        known = [one.position for one in ask.rules.unscored if one.position is not None]
        self._included = np.concatenate([ask.rules.forced, np.array(known, dtype=np.int64)])

    @property
    def _exhausted(self) -> bool:
        """True where `ranked` holds every candidate."""
        return len(self.ranked.positions) < self.depth

    def _deepen(self) -> None:
        self.depth *= _DEEPER
        (self.ranked,) = best_of_each(self._scorer.take([self.row]), [self.ask.wanted(self.depth)])

    def _natural(self) -> Positions:
        """Return the places in `ranked` that the list takes by score alone."""
        return self._taken(NONE, self._room, self._included)

    def wants_new(self) -> bool:
        """True where fewer new items than asked for get there by score."""
        if not self.ask.rules.new or not self._room:
            return False
        natural = self._natural()  # first: it may rank deeper
        return self._count_new(self._included, self.ranked.positions[natural]) < self.ask.rules.new

    def page(self) -> Page:
        """Return the page that is asked for."""
        chosen, added, unsold = self._first_page()
        if not self.ask.offset:
            told = self._told_new(self.ranked.positions[chosen], added.positions, unsold)
            left = not self._exhausted or len(chosen) < len(self._apart(added.positions))
            return _page(self._joined(chosen, added, unsold), told, left)
        return self._later_page(np.union1d(self.ranked.positions[chosen], added.positions))

    def _first_page(self) -> tuple[Positions, Ranked, Positions]:
        """Return places in `ranked`, the new items that come before those by score, and unsold ones."""
        rules = self.ask.rules
        natural = self._natural()
        wanted = rules.new - self._count_new(self._included)
        if not self.wants_new():
            return natural, NOTHING, NONE
        most = min(wanted, self._room)
        places = within_caps(self.new.positions, most, rules.caps, self._included)
        reserved = Ranked(self.new.positions[places], self.new.scores[places])
        unsold = NONE
        if len(places) < most:
            beyond = rules.unsold_candidates(self._side)
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
            if len(places) == most or self._exhausted or self._closed([counted, positions[places]]):
                return places if open_places is None else open_places[places]
            self._deepen()

    def _closed(self, held: list[Positions]) -> bool:
        """True where caps keep off all that is not ranked yet from a list that holds these; that costs less to see."""
        if not self.ask.rules.caps:
            return False
        left = self.ask.wanted(0).candidates(self._scorer.n_ranked)
        left[self.ranked.positions] = False
        return not np.any(left & with_room(self.ask.rules.caps, np.concatenate(held))[: len(left)])

    def _later_page(self, taken: Positions) -> Page:
        """Deal the candidates without page 1's into pages, and return the one at the offset."""
        ask = self.ask
        while True:
            left = self._apart(taken)
            page, held = dealt(self.ranked.positions[left], ask.k, ask.rules.caps, ask.offset // ask.k)
            if len(page) == ask.k or self._exhausted:
                return _page(self._by_score(left[page]), (), held < len(left) or not self._exhausted)
            self._deepen()

    def _apart(self, positions: Positions) -> Positions:
        return np.flatnonzero(~np.isin(self.ranked.positions, positions))

    def _joined(self, chosen: Positions, added: Ranked, unsold: Positions) -> list[Pick]:
        """Join what must appear, what gets there by score, and new items into one list; null scores come last."""
        rules, side, reason = self.ask.rules, self._side, self.ask.reason
        by_score = set(self.ranked.positions[self._natural()].tolist()) if len(added.positions) else set()
        forced = _picks(side, rules.forced.tolist(), shortest(self.forced_scores), "included")
        new = _picks(side, added.positions.tolist(), shortest(added.scores), "new")
        among_best = [pick._replace(reason=reason) for pick in new if pick.position in by_score]
        reserved = [pick for pick in new if pick.position not in by_score]
        rest = self._by_score(chosen)
        if rules.first:
            picks = forced + sorted(reserved, key=_place) + sorted(rest + among_best, key=_place)
        else:
            picks = sorted(forced + rest + among_best + reserved, key=_place)
        scoreless = [Pick(one.id, None, "included", one.position) for one in rules.unscored]
        scoreless += [Pick(side.id_at(position), None, "new", position) for position in unsold.tolist()]
        return picks + sorted(scoreless, key=lambda pick: pick.id)

    def _by_score(self, places: Positions) -> list[Pick]:
        found = self.ranked
        return _picks(self._side, found.positions[places].tolist(), shortest(found.scores[places]), self.ask.reason)

    def _told_new(self, *chosen: Positions) -> list[Notice]:
        wanted = self.ask.rules.new
        have = self._count_new(self._included, *chosen) if wanted else 0
        if have >= wanted:
            return []
        return [Notice("too_few_new", f"include.new asks for {wanted} new items, {have} could appear.")]

    def _count_new(self, *positions: Positions) -> int:
        return sum(int(np.count_nonzero(self._side.new[some])) for some in positions)


def _page(picks: Sequence[Pick], notices: Sequence[Notice], more: bool) -> Page:
    ids, scores, reasons, positions = zip(*picks, strict=True) if picks else ((), (), (), ())
    return Page(ids, scores, reasons, positions, notices, more)


def _place(pick: Pick) -> tuple[float, int]:
    """Return what a scored pick is ordered by: score, best first, then position."""
    assert pick.score is not None and pick.position is not None  # noqa: S101 - scored ones alone are ordered
    return -pick.score, pick.position
