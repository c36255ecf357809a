"""The shop's rules, a row each: `RULES` is the one place that knows which there are.

    "include": {"items": [...], "new": 2, "only": [...], "where": {...}, "placement": "score" or "first",
                "customers": [...], "only_customers": [...]}
    "exclude": {"items": [...], "purchased": false, "popular": 0, "where": {...}, "customers": [...]}
    "boost": {"where": {...}, "by": 1.3}, or a list of such
    "at_most": {"department": 2}

A row reads its value, says how layers join, what it does to a list (its *effect*), in which tasks it has a meaning, and
how docs/http-api.md tells it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from functools import partial
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alsriaz.errors import BadValue
from alsriaz.model.arrays import Mask, Positions
from alsriaz.model.conditions import Where, parse_where, where_as_json
from alsriaz.platform import values
from alsriaz.platform.limits import MOST_BOOSTS, MOST_CAPS, MOST_COUNT, MOST_FACTOR, MOST_RULE_IDS
from alsriaz.platform.values import nearest, shown
from alsriaz.rules.side import Side

# ---- What rules do --------------------------------------------------------------------------------------------------


class Lift(NamedTuple):
    """What is lifted, shape (n,) by extended position, and by what factor; below 1 it is lowered."""

    mask: Mask
    by: float


class Cap(NamedTuple):
    """How much with the same code, by extended position, a list may hold; -1 is no code, and has no cap."""

    name: str
    codes: npt.NDArray[np.int32]
    most: int


@dataclass(frozen=True)
class Effect:
    """What one rule of one layer does to a list; what a rule leaves alone stays as it is here.

    Attributes:
        included: ids that must appear, in the order given.
        excluded: ids that may not appear, not even where another layer includes them.
        only: ids beside which nothing may appear, and as `among` their ascending extended positions.
        among: see `only`.
        described: True where nothing may appear of which no attribute is known.
        hidden: True, by extended position, where something may not appear.
        barred: extended positions that may not appear.
        new: at least so many new items must appear.
        first: True where what is included comes first, then what is new, then the rest.
        purchased: True where what the customer bought may not appear; in an audience, who bought it.
        lifts: what lifts scores.
        caps: how much of one value of an attribute a list may hold.
        absent: what a condition asks for and nothing has, to be told.
    """

    included: tuple[str, ...] = ()
    excluded: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    among: Positions | None = None
    described: bool = False
    hidden: Mask | None = None
    barred: Positions | None = None
    new: int = 0
    first: bool = False
    purchased: bool = False
    lifts: tuple[Lift, ...] = ()
    caps: tuple[Cap, ...] = ()
    absent: tuple[str, ...] = ()


class Join(Enum):
    """How the layers of one rule become one: all of them hold, or the highest alone."""

    UNITE = "unite"
    ALL = "all hold"
    BY_ATTRIBUTE = "by attribute"
    REPLACE = "the highest holds"


# ---- How values are read --------------------------------------------------------------------------------------------


class Reading(NamedTuple):
    """How much rules may hold: ids in one list; and whether entries of include.customers may bring a history."""

    most_ids: int = MOST_RULE_IDS
    baskets: bool = False


DEFAULT_READING = Reading()


class Guest(NamedTuple):
    """A customer who gets a list in output.csv, known to the model or not; `history` is a basket as JSON has it."""

    customer: str
    history: Any = None


@dataclass(frozen=True)
class BoostEntry:
    """One entry of `boost`; `path` is where it stands, for errors: ``boost``, or ``boost[2]`` in a list."""

    by: float
    where: Where | None = None
    items: tuple[str, ...] | None = None
    path: str = field(default="boost", compare=False)


def _ids(value: Any, path: str, reading: Reading, of: str = "item ids") -> tuple[str, ...]:
    return values.unique_ids(value, path, reading.most_ids, of)


def _id_set(value: Any, path: str, reading: Reading, of: str = "item ids") -> frozenset[str]:
    return frozenset(_ids(value, path, reading, of))


def _read(kind: values.Kind[Any]) -> Callable[[Any, str, Reading], Any]:
    return lambda value, path, _: kind.read(value, path)


def _where(value: Any, path: str, _: Reading) -> Where:
    return parse_where(value, path)


def _guests(value: Any, path: str, reading: Reading) -> tuple[Guest, ...]:
    guests: dict[str, Guest] = {}
    for place, entry in enumerate(values.a_list(value, path, reading.most_ids, "customer ids")):
        where = f"{path}[{place}]"
        if reading.baskets and isinstance(entry, dict):
            inner = values.an_object(entry, where, ("customer", "history"))
            guest = Guest(values.an_id(inner.get("customer"), f"{where}.customer"), inner.get("history"))
        else:
            guest = Guest(values.an_id(entry, where))
        if guests.setdefault(guest.customer, guest) != guest:
            message = f"{where} is {shown(guest.customer)}, who stands there before with another history."
            raise BadValue(where, message)
    return tuple(guests.values())


_BY = values.number(0, MOST_FACTOR)
_BOOST_FIELDS = ("where", "items", "by")


def _boost(value: Any, path: str, reading: Reading) -> tuple[BoostEntry, ...]:
    if isinstance(value, dict):
        return (_boost_entry(value, path, reading),)
    entries = values.a_list(value, path, MOST_BOOSTS, 'objects such as {"where": {...}, "by": 1.3}')
    return tuple(_boost_entry(entry, f"{path}[{place}]", reading) for place, entry in enumerate(entries))


def _boost_entry(value: Any, path: str, reading: Reading) -> BoostEntry:
    entry = values.an_object(value, path, _BOOST_FIELDS)
    where, items = entry.get("where"), entry.get("items")
    named = None if items is None else _ids(items, f"{path}.items", reading)
    if (where is None) == (items is None):
        raise BadValue(path, f"{path} is {shown(value)}, expected either where or items, and by.")
    by = _BY.read(entry.get("by"), f"{path}.by")
    return BoostEntry(by, None if where is None else parse_where(where, f"{path}.where"), named, path)


_CAP = values.whole(1, MOST_COUNT, "items")


def _caps(value: Any, path: str, _: Reading) -> dict[str, int]:
    if not isinstance(value, dict):
        expected = 'an object such as {"department": 2}: how many items of one value a list may hold'
        raise values.unexpected(value, path, expected)
    if len(value) > MOST_CAPS:
        raise BadValue(path, f"{path} has {len(value)} attributes, expected at most {MOST_CAPS}.")
    given = {name: count for name, count in value.items() if count is not None}
    return {name: _CAP.read(count, f"{path}.{name[:80]}") for name, count in given.items()}


# ---- How values are bound to what they speak of ---------------------------------------------------------------------


def _bind_included(ids: tuple[str, ...], side: Side, path: str) -> Effect:
    return Effect(included=ids)


def _bind_guests(guests: tuple[Guest, ...], side: Side, path: str) -> Effect:
    return Effect(included=tuple(guest.customer for guest in guests))


def _bind_only(ids: frozenset[str], side: Side, path: str) -> Effect:
    return Effect(only=ids, among=np.unique(side.positions_of(ids)))


def _bind_excluded(ids: frozenset[str], side: Side, path: str) -> Effect:
    return Effect(excluded=ids, barred=side.positions_of(ids))


def _bind_include_where(where: Where, side: Side, path: str) -> Effect:
    mask = side.mask(where, path)
    return Effect(described=True, hidden=~mask, absent=_absent(where, side))


def _bind_exclude_where(where: Where, side: Side, path: str) -> Effect:
    return Effect(hidden=side.mask(where, path), absent=_absent(where, side))


def _bind_popular(popular: Fraction, side: Side, path: str) -> Effect:
    return Effect(barred=side.by_popularity[: popular_count(popular, len(side.ids))].astype(np.int64))


def _bind_boost(entries: tuple[BoostEntry, ...], side: Side, path: str) -> Effect:
    lifts = tuple(_lift(entry, side) for entry in entries)  # first: it finds attributes that are not there
    absent = dict.fromkeys(told for entry in entries if entry.where for told in _absent(entry.where, side))
    return Effect(lifts=lifts, absent=tuple(absent))


def _lift(entry: BoostEntry, side: Side) -> Lift:
    if entry.where is not None:
        return Lift(side.mask(entry.where, f"{entry.path}.where"), entry.by)
    mask = np.zeros(len(side.new), dtype=np.bool_)
    mask[side.positions_of(entry.items or ())] = True
    return Lift(mask, entry.by)


def _bind_caps(caps: Mapping[str, int], side: Side, path: str) -> Effect:
    groups = side.attributes.groups
    return Effect(caps=tuple(Cap(name, groups(name, f"{path}.{name[:80]}"), most) for name, most in caps.items()))


def _absent(where: Where, side: Side) -> tuple[str, ...]:
    return tuple(f"{name} {value}" for name, value in side.attributes.absent(where))


def popular_count(popular: Fraction, n_items: int) -> int:
    """Return how many of `n_items` the rule `exclude.popular` names; a share is rounded up."""
    return min(ceil(popular if popular >= 1 else popular * n_items), n_items)  # exact: 0.1 of 30 items are 3, not 4


# ---- The rows -------------------------------------------------------------------------------------------------------

LISTS = ("recommend", "popular", "similar")
FILTERS = (*LISTS, "score")
AUDIENCE = ("audience",)


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        path: where it stands in the rules' JSON.
        side: what it speaks of: "item", "customer", or "both".
        read: turns the JSON value at a path into the rule's value; BadValue where it can't.
        bind: looks a value up among what is ranked; BadValue where it speaks of what is not there.
        join: how layers join.
        tasks: those in which it has a meaning.
        meaning: its line in docs/http-api.md.
        as_json: what `read` reads as the same value again.
    """

    path: str
    side: str
    read: Callable[[Any, str, Reading], Any]
    bind: Callable[[Any, Side, str], Effect]
    join: Join
    tasks: tuple[str, ...]
    meaning: str
    as_json: Callable[[Any], Any] = lambda value: value


RULES = (
    Rule(
        "include.items",
        "item",
        _ids,
        _bind_included,
        Join.UNITE,
        LISTS,
        "ids that must appear, whatever their score; more than k is an error. One that was never sold has score null, "
        "stands after all scored ones, in id order, and is warned about",
        list,
    ),
    Rule(
        "include.new",
        "item",
        _read(values.whole(0, MOST_COUNT, "new items")),
        lambda new, side, path: Effect(new=new),
        Join.REPLACE,
        LISTS,
        "at least so many new items. Those that get there by score count and keep reason `model`; where too few can "
        "appear, items of the shop's table that were never sold fill up, in id order, score null; then the list is "
        "filled by score and a warning tells",
    ),
    Rule(
        "include.only",
        "item",
        _id_set,
        _bind_only,
        Join.ALL,
        FILTERS,
        "nothing else may appear; `[]` means nothing, absent means everything. `include.items` are placed all the same",
        sorted,
    ),
    Rule(
        "include.where",
        "item",
        _where,
        _bind_include_where,
        Join.ALL,
        FILTERS,
        "nothing else may appear than items that meet these conditions. `include.items` are placed all the same",
        where_as_json,
    ),
    Rule(
        "include.placement",
        "both",
        _read(values.one_of("score", "first", quoted=True)),
        lambda placement, side, path: Effect(first=placement == "first"),
        Join.REPLACE,
        (*LISTS, *AUDIENCE),
        '`"score"`: one list by score. `"first"`: included items first, in the order given, then those with reason '
        "`new`, then the rest, each by score",
    ),
    Rule(
        "exclude.items",
        "item",
        _id_set,
        _bind_excluded,
        Join.UNITE,
        FILTERS,
        "ids that may not appear",
        sorted,
    ),
    Rule(
        "exclude.purchased",
        "both",
        _read(values.FLAG),
        lambda purchased, side, path: Effect(purchased=purchased),
        Join.REPLACE,
        ("recommend", "score", *AUDIENCE),
        "true: what the customer bought, the history with it, may not appear; in an audience: who bought it",
    ),
    Rule(
        "exclude.popular",
        "item",
        _read(values.SHARE_OR_COUNT),
        _bind_popular,
        Join.REPLACE,
        FILTERS,
        "a whole number >= 1: so many items with most customers may not appear; a fraction below 1: that share of all "
        "items, rounded up",
        lambda popular: popular.numerator if popular.denominator == 1 else float(popular),
    ),
    Rule(
        "exclude.where",
        "item",
        _where,
        _bind_exclude_where,
        Join.UNITE,
        FILTERS,
        "items that meet these conditions may not appear",
        where_as_json,
    ),
    Rule(
        "boost",
        "item",
        _boost,
        _bind_boost,
        Join.REPLACE,
        FILTERS,
        '`{"where": {...}, "by": 1.3}` or `{"items": [...], "by": 0.8}`, or a list of at most 16 such: adds (by - 1) x '
        "the standard deviation of the candidates' scores to the scores of these items. `by` is from 0 to 100; below 1 "
        "it lowers",
        lambda entries: [_boost_as_json(entry) for entry in entries],
    ),
    Rule(
        "at_most",
        "item",
        _caps,
        _bind_caps,
        Join.BY_ATTRIBUTE,
        LISTS,
        '`{"department": 2}`: a list holds at most so many items of one value; at most 8 attributes. Included items '
        "count, and are never taken off. Items without a value have no limit",
    ),
    Rule(
        "include.customers",
        "customer",
        _guests,
        _bind_guests,
        Join.UNITE,
        AUDIENCE,
        "customers who must appear in an audience; in `rules.json`: who gets a list in output.csv besides those of the "
        'model, each an id or `{"customer": "x", "history": [...]}`',
        lambda guests: [guest.customer if guest.history is None else guest._asdict() for guest in guests],
    ),
    Rule(
        "include.only_customers",
        "customer",
        partial(_id_set, of="customer ids"),
        _bind_only,
        Join.ALL,
        AUDIENCE,
        "no other customers may appear; in output.csv no others of the model get a list",
        sorted,
    ),
    Rule(
        "exclude.customers",
        "customer",
        partial(_id_set, of="customer ids"),
        _bind_excluded,
        Join.UNITE,
        AUDIENCE,
        "customers who may not appear, and get no list in output.csv",
        sorted,
    ),
)

BY_PATH: Mapping[str, Rule] = {rule.path: rule for rule in RULES}
SECTIONS: Mapping[str, tuple[str, ...]] = {
    section: tuple(path.partition(".")[2] for path in BY_PATH if path.startswith(f"{section}."))
    for section in dict.fromkeys(path.partition(".")[0] for path in BY_PATH)
}
"""The fields of the rules' JSON, each with its own fields where it is an object of rules."""


def _boost_as_json(entry: BoostEntry) -> dict[str, Any]:
    where = {} if entry.where is None else {"where": where_as_json(entry.where)}
    items = {} if entry.items is None else {"items": list(entry.items)}
    return {**where, **items, "by": entry.by}


# ---- One layer ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rules:
    """One layer of rules: standing, live, or a request's. `values` are by path; what isn't there isn't said."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.values)

    def get(self, path: str, default: Any = None) -> Any:
        """Return the value of a rule."""
        return self.values.get(path, default)

    def without(self, *paths: str) -> "Rules":
        """Return these rules less some of them."""
        return Rules({path: value for path, value in self.values.items() if path not in paths})

    def as_json(self) -> dict[str, Any]:
        """Return what `read_rules` reads as these rules again."""
        told: dict[str, Any] = {"include": {}, "exclude": {}}
        for path, rule in BY_PATH.items():
            if path in self.values:
                section, _, name = path.partition(".")
                value = rule.as_json(self.values[path])
                if name:
                    told[section][name] = value
                else:
                    told[section] = value
        return told


NO_RULES = Rules()


def read_rules(given: Mapping[str, Any], reading: Reading = DEFAULT_READING) -> Rules:
    """Return the rules in the fields `SECTIONS` of a JSON object; other fields are not looked at.

    Raises:
        BadValue: a field is unknown, mistyped, out of range or too long, or an id stands in both lists of one kind.
    """
    sections = {}
    for section, fields in SECTIONS.items():
        value = given.get(section)
        if value is not None:
            sections[section] = values.an_object(value, section, fields) if fields else value
    found = {}
    for path, rule in BY_PATH.items():
        section, _, name = path.partition(".")
        if section in sections:
            value = sections[section].get(name) if name else sections[section]
            if value is not None:
                found[path] = rule.read(value, path, reading)
                if rule.join is Join.UNITE and not found[path]:
                    del found[path]  # no ids: nothing is said
    if "exclude.items" in found or "exclude.customers" in found:
        _refuse_both("items", found.get("include.items", ()), found.get("exclude.items", frozenset()))
        guests = [guest.customer for guest in found.get("include.customers", ())]
        _refuse_both("customers", guests, found.get("exclude.customers", frozenset()))
    return Rules(found)


def read_rules_file(given: Mapping[str, Any]) -> Rules:
    """Return the rules of a whole rules.json; BadValue also where it has other fields than `SECTIONS`."""
    for name in given:
        if name not in SECTIONS:
            raise BadValue(name, f"{shown(name)} is no field of the rules{nearest(name, SECTIONS)}")
    return read_rules(given, Reading(baskets=True))


def named_rules(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the path of each rule that a JSON object asks for, such as include.new, in the order of `SECTIONS`."""
    for section, fields in SECTIONS.items():
        value = given.get(section)
        if value is None:
            continue
        if not fields:
            yield section
        elif isinstance(value, dict):
            yield from (f"{section}.{field}" for field, inner in value.items() if inner not in (None, False))


def _refuse_both(kind: str, included: Any, excluded: frozenset[str]) -> None:
    both = sorted(excluded.intersection(included))
    if both:
        message = f"{shown(both[0])} stands in both include.{kind} and exclude.{kind}: keep one."
        raise BadValue(f"exclude.{kind}", message)
