"""A model under the rules that hold for every question, as the tasks see it."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alsriaz.errors import BadValue, ModelError
from alsriaz.model.arrays import Positions
from alsriaz.model.folder import Model, open_model
from alsriaz.platform.layout import RULES_NAME
from alsriaz.questions.question import Limits, Question
from alsriaz.questions.tally import Answer
from alsriaz.rules.binding import Bound, Layer, Notice, bind, make_layer
from alsriaz.rules.lists import Ask, Page
from alsriaz.rules.rows import Rules, read_rules_file
from alsriaz.rules.side import Side
from alsriaz.scoring.scorer import Scorer
from alsriaz.scoring.scorers import Scorers


class Listing(NamedTuple):
    """A list that a question wants.

    Attributes:
        rank_by: gives the scorer of many rows; listings that are ranked by the same are ranked together.
        row: what a row of that scorer is for: a Buyer, or the positions of items.
        ask: what the list shall be.
        answer: turns the page into the answer.
    """

    rank_by: Callable[[Scorers, Sequence[Any]], Scorer]
    row: Any
    ask: Ask
    answer: Callable[[Page], Answer]


Prepared = Listing | Answer
"""A question that has been understood: a list is still to be ranked for it, or its answer is there already."""


@dataclass(frozen=True, eq=False)
class _Beneath:
    """One layer of rules beneath those of questions; among customers it is looked up when that is first needed.

    Beneath, include.customers say who gets a list in output.csv: they have no place in an item's audience.
    """

    rules: Rules
    items: Layer
    side_of_customers: Callable[[], Side]

    @cached_property
    def customers(self) -> Layer:
        return make_layer(self.rules.without("include.customers"), self.side_of_customers())


class Shop:
    """One model, ready to answer, and the rules beneath those of a question: its standing ones, then live ones if any.

    Attributes:
        standing: the model's own rules.
        live_version: of the live rules; None where there are none.
        left_out: why not all of those hold.
    """

    def __init__(self, model: Model, limits: Limits = Limits()) -> None:  # noqa: B008 - it is a tuple
        """What costs time once is done here, so that the first question is answered as fast as the next.

        Raises:
            BadValue: the standing rules can't be used with this model.
        """
        self.model = model
        self.limits = limits
        self.scorers = Scorers(model)
        self.items = Side.of_items(model)
        self.standing = read_rules_file(model.standing)
        self.live_version: str | None = None
        self.left_out: tuple[BadValue, ...] = ()
        self._beneath: tuple[_Beneath, ...] = (self._layer_beneath(self.standing),)
        self._bound = bind([self._beneath[0].items], self.items)

    @cached_property
    def customers(self) -> Side:
        """The customers as what is ranked."""
        return Side.of_customers(self.model)

    @property
    def default_k(self) -> int:
        """How many recommendations a question gets that doesn't say."""
        return min(self.model.spec.reco_item, self.limits.most_k)

    @cached_property
    def model_hash(self) -> str:
        """The short hash that answers carry."""
        return self.model.manifest.short_hash

    # ---- Rules ------------------------------------------------------------------------------------------------------

    def _layer_beneath(self, rules: Rules) -> _Beneath:
        return _Beneath(rules, make_layer(rules, self.items), lambda: self.customers)

    def rules(self, question: Question, *more: Rules) -> Bound:
        """Return the rules beneath with a question's on top of them, and any further ones on top of those."""
        if not question.rules.values and not more:
            return self._bound
        above = [rules for rules in (question.rules, *more) if rules]
        layers = [beneath.items for beneath in self._beneath]
        return bind([*layers, *(make_layer(rules, self.items) for rules in above)], self.items)

    def customer_rules(self, question: Question) -> Bound:
        """Return the rules beneath on customers with a question's on top."""
        layers = [beneath.customers for beneath in self._beneath]
        return bind([*layers, make_layer(question.rules, self.customers)], self.customers)

    def under(self, version: str, live: Rules) -> "Shop":
        """Return this model under live rules, which replace those that it has; it shares all else with this one.

        What this model can't keep of them is left out, and told in `left_out`; which rules these are depends on nothing
        else.
        """
        left_out: list[BadValue] = []
        for path in ("include.where", "exclude.where", "boost", "at_most"):  # what may name an attribute
            if path in live.values:
                try:
                    make_layer(Rules({path: live.values[path]}), self.items)
                except BadValue as error:
                    left_out.append(error)
                    live = live.without(path)
        try:
            return self._with_live(version, live, left_out)
        except BadValue as error:  # lists have fewer places than are to be taken
            left_out.append(error)
            return self._with_live(version, live.without("include.items"), left_out, checked=False)

    def check_live(self, live: Rules) -> Sequence[Notice]:
        """Return what is to be told of live rules, without what the standing rules would have told.

        Raises:
            BadValue: this model can't keep all of them: they name an attribute that the items don't have, or more items
                must appear than a list has places, so that every question which doesn't say k would be an error.
        """
        known = set(self._bound.notices)
        return [notice for notice in self._with_live("", live, ())._bound.notices if notice not in known]

    def _with_live(self, version: str, live: Rules, left_out: Sequence[BadValue], *, checked: bool = True) -> "Shop":
        other = copy(self)
        other._beneath = (self._beneath[0], self._layer_beneath(live))
        other._bound = bind([beneath.items for beneath in other._beneath], self.items)
        if checked:
            other._bound.room(self.default_k)
        other.live_version, other.left_out = version, tuple(left_out)
        return other

    # ---- What questions ask for -------------------------------------------------------------------------------------

    def k(self, question: Question) -> int:
        """Return how many recommendations a question wants."""
        return self.default_k if question.k is None else question.k

    def offset(self, question: Question, k: int) -> int:
        """Return how many places come before the page that a question wants."""
        offset = question.offset or 0
        if offset % k:
            raise BadValue("offset", f"offset is {offset}, expected a multiple of k, which is {k}.")
        return offset

    def shown(self, question: Question) -> Sequence[str] | None:
        """Return the names of the attributes that a question wants to see; BadValue where one is unknown."""
        for place, name in enumerate(question.show or ()):
            self.items.attributes.kind(name, f"show[{place}]")
        return question.show

    def show(self, entries: list[dict[str, Any]], positions: Sequence[int | None], names: Sequence[str]) -> None:
        """Add to the entries of items, by their extended positions if any, the attributes that are to be shown."""
        for entry, position in zip(entries, positions, strict=True):
            if position is None:
                entry["attributes"] = dict.fromkeys(names)
            else:
                entry["attributes"] = self.items.attributes.shown(position, names)

    def sold_items(self, items: Sequence[str]) -> tuple[Positions, list[str]]:
        """Return the positions of the items that were sold, in the given order, and the ids of the others."""
        found = {item: self.items.ids.position_of(item) for item in items}
        known = [position for position in found.values() if position is not None]
        return np.array(known, dtype=np.int64), [item for item, position in found.items() if position is None]


def open_shop(folder: Path, limits: Limits = Limits()) -> Shop:  # noqa: B008 - it is a tuple
    """Map a model folder and return it ready to answer.

    Raises:
        ModelError: the folder is not a finished model of this format, its standing rules can't be used, or no list that
            a question may ask for has room for what they include.
    """
    model = open_model(folder)
    try:
        shop = Shop(model, limits)
    except BadValue as error:
        raise ModelError(f"The model's JSON was changed after training: {error}.") from None
    included = len(shop.standing.get("include.items", ()))
    if included > limits.most_k:
        raise ModelError(
            f"ALSRIAZ_MAX_K is {limits.most_k}, but the model's {RULES_NAME} has {included} items that must appear in "
            "every list. Raise it, or train with fewer."
        )
    return shop
