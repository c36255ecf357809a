"""A model as the tasks see it, with the rules that hold for every request and what all fields are read by."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from alsriaz.errors import ModelError, RequestError, RuleError
from alsriaz.model.folder import Model
from alsriaz.platform.layout import RULES_NAME
from alsriaz.platform.setting import shown
from alsriaz.questions import fields
from alsriaz.questions.live_binding import bind_what_can_be_kept
from alsriaz.rules.binding import BoundRules, Layer, bind, make_layer
from alsriaz.rules.catalogue import Catalogue
from alsriaz.rules.lists import Pick
from alsriaz.rules.rules import SECTIONS, Rules, parse_rules
from alsriaz.scoring.history import DEFAULT_MOST_ENTRIES
from alsriaz.scoring.scorers import ItemFactors

Record = Mapping[str, Any]

MOST_OFFSET = 10_000
MOST_SHOWN = 64


@dataclass(frozen=True)
class Limits:
    """How much one record may ask for: recommendations, ids in one list, entries of a history."""

    most_k: int = 1000
    most_ids: int = 100_000
    most_history: int = DEFAULT_MOST_ENTRIES


def check_room(model: Model, most_k: int) -> None:
    """Raise ModelError where no list that a request may ask for has room for what the standing rules include."""
    included = len(model.standing_rules.include_items)
    if included > most_k:
        raise ModelError(
            f"ALSRIAZ_MAX_K is {most_k}, but the model's {RULES_NAME} has {included} items that must appear in every "
            "list. Raise it, or train with fewer."
        )


class ServedModel:
    """One model, ready to answer, and the rules beneath those of a request: its standing ones, then live ones if any.

    Attributes:
        live_version: of the live rules; None where there are none.
        left_out: why not all of those hold.
    """

    def __init__(self, model: Model, limits: Limits) -> None:
        """What costs time once is done here, so that the first request is as fast as the next."""
        self.model = model
        self.limits = limits
        self.catalogue = model.catalogue
        self.items = model.item_factors
        self.popularity = model.arrays.item_customers.astype(np.float32)
        self.items.largest_norm  # noqa: B018 - reads the factors through
        self.live_version: str | None = None
        self.left_out: tuple[RuleError, ...] = ()
        standing = _Beneath(model.standing_rules, make_layer(model.standing_rules, model.catalogue))
        self._beneath: tuple[_Beneath, ...] = (standing,)
        self._bound = bind([standing.layer], model.catalogue)

    def with_live(self, version: str, live: Rules) -> "ServedModel":
        """Return this model under live rules, which replace those that it has; it shares all else with this one."""
        standing = self._beneath[0]
        layer, bound, left_out = bind_what_can_be_kept(standing.layer, live, self.catalogue, self.default_k)
        other = copy(self)
        other.live_version, other.left_out = version, left_out
        other._beneath, other._bound = (standing, _Beneath(live, layer)), bound
        return other

    @property
    def default_k(self) -> int:
        """How many recommendations a record gets that doesn't say."""
        return min(self.model.spec.reco_item, self.limits.most_k)

    @cached_property
    def model_hash(self) -> str:
        """The short hash that answers carry."""
        return self.model.manifest.short_hash

    @cached_property
    def customers(self) -> ItemFactors:
        """The customers as what is ranked, for audiences; read through at the first of these."""
        return ItemFactors(self.model.arrays.customer_factors)

    @cached_property
    def customer_catalogue(self) -> Catalogue:
        """The customers as rules see them."""
        return Catalogue.of_customers(self.model.customer_ids)

    def rules(self, record: Record, *more: Rules) -> BoundRules:
        """Return the rules beneath with a record's on top of them, and any further ones on top of those."""
        layers = [beneath.layer for beneath in self._beneath]
        if any(record.get(name) is not None for name in SECTIONS):
            layers.append(make_layer(parse_rules(record, self.limits.most_ids), self.catalogue))
        layers += [make_layer(rules, self.catalogue) for rules in more]
        return self._bound if len(layers) == len(self._beneath) else bind(layers, self.catalogue)

    def customer_rules(self, record: Record) -> BoundRules:
        """Return the rules beneath on customers with a record's on top.

        Their include.customers say who gets a list in output.csv; they have no place in an item's audience.
        """
        asked = _on_customers(parse_rules(record, self.limits.most_ids), include=True)
        layers = [beneath.customer_layer(self.customer_catalogue) for beneath in self._beneath]
        return bind([*layers, make_layer(asked, self.customer_catalogue)], self.customer_catalogue)

    def k(self, record: Record) -> int:
        """Return how many recommendations a record wants."""
        k = fields.whole(record, "k", 1, self.limits.most_k)
        return self.default_k if k is None else k

    def offset(self, record: Record, k: int) -> int:
        """Return how many places come before the page that a record wants."""
        offset = fields.whole(record, "offset", 0, MOST_OFFSET) or 0
        if offset % k:
            raise RequestError("bad_value", f"offset is {offset}, expected a multiple of k, which is {k}.", "offset")
        return offset

    def shown(self, record: Record) -> list[str] | None:
        """Return the names of the attributes that a record wants to see; None where it says nothing."""
        value = record.get("show")
        if value is None:
            return None
        if not isinstance(value, list) or len(value) > MOST_SHOWN or not all(isinstance(name, str) for name in value):
            message = f"show is {shown(value)}, expected a list of at most {MOST_SHOWN} names of attributes."
            raise RequestError("bad_value", message, "show")
        for number, name in enumerate(value):
            try:
                self.catalogue.attributes.kind(name, f"show[{number}]")
            except RuleError as error:
                raise RequestError("bad_value", str(error), error.field) from None
        return list(dict.fromkeys(value))

    def attributes(self, pick: Pick, names: Sequence[str] | None) -> dict[str, Any] | None:
        """Return what an item's place shows of it; None where nothing is asked for."""
        if names is None:
            return None
        if pick.position is None:
            return dict.fromkeys(names)
        return self.catalogue.attributes.shown(pick.position, names)

    def known_items(self, items: Sequence[str]) -> tuple[npt.NDArray[np.int64], list[str]]:
        """Return the positions of the items that were sold, in the given order, and the ids of the others."""
        found = {item: self.catalogue.ids.position_of(item) for item in items}
        known = [position for position in found.values() if position is not None]
        return np.array(known, dtype=np.int64), [item for item, position in found.items() if position is None]


class _Beneath:
    """One layer of rules beneath those of requests, looked up once: among customers when that is first needed."""

    def __init__(self, rules: Rules, layer: Layer) -> None:
        self.layer = layer
        self._rules = rules
        self._customer_layer: Layer | None = None

    def customer_layer(self, catalogue: Catalogue) -> Layer:
        if self._customer_layer is None:
            self._customer_layer = make_layer(_on_customers(self._rules, include=False), catalogue)
        return self._customer_layer


def _on_customers(rules: Rules, *, include: bool) -> Rules:
    """Return the rules on customers as if these were what rules usually speak of."""
    return Rules(
        include_items=tuple(guest.customer for guest in rules.include_customers) if include else (),
        only=rules.only_customers,
        placement=rules.placement,
        exclude_items=rules.exclude_customers,
        purchased=rules.purchased,
    )
