"""The shop's rules: read from JSON, one layer at a time.

    "include": {"items": [...], "new": 2, "only": [...], "where": {...}, "placement": "score" or "first",
                "customers": [...], "only_customers": [...]}
    "exclude": {"items": [...], "purchased": false, "popular": 0, "where": {...}, "customers": [...]}
    "boost": {"where": {...}, "by": 1.3}, or a list of such
    "at_most": {"department": 2}

What they mean for a list is told in `core.binding` and `core.lists`; docs/http-api.md has them for users.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Any

from alsriaz.errors import RuleError
from alsriaz.model.conditions import Where, parse_where, where_as_json
from alsriaz.platform.values import nearest, shown
from alsriaz.rules import rule_fields as fields

PLACEMENTS = ("score", "first")
INCLUDE = ("items", "new", "only", "where", "placement", "customers", "only_customers")
EXCLUDE = ("items", "purchased", "popular", "where", "customers")
SECTIONS = ("include", "exclude", "boost", "at_most")
BOOST = ("where", "items", "by")
DEFAULT_MOST_IDS = 100_000
MOST_BOOSTS = 16


@dataclass(frozen=True)
class Lift:
    """One entry of `boost`: the items that it names or describes are lifted (or lowered, below 1) by a factor.

    `path` is where it stands in the rules, for errors: ``boost``, or ``boost[2]`` in a list.
    """

    by: float
    where: Where | None = None
    items: tuple[str, ...] | None = None
    path: str = field(default="boost", compare=False)


@dataclass(frozen=True)
class Guest:
    """A customer who gets a list in output.csv, known to the model or not; `history` is a basket as JSON has it."""

    customer: str
    history: Any = None


@dataclass(frozen=True)
class Rules:
    """One layer of rules: the standing ones, or those of a request. None means that the layer doesn't say.

    Attributes:
        include_items: ids that must appear, in the order given, each once.
        new: at least so many new items must appear.
        only: nothing else may appear; an empty set means nothing.
        include_where: only items that match may appear.
        placement: "score" or "first".
        exclude_items: ids that may not appear.
        purchased: True where what the customer bought may not appear; for an item's audience, who bought it.
        popular: how many of the most popular items may not appear: a whole number of items, or a share below 1.
        exclude_where: items that match may not appear.
        boost: what lifts scores, in the order given.
        at_most: how many items of one value of an attribute a list may hold, by attribute.
        include_customers: customers who must appear, in the order given, each once.
        only_customers: no other customers may appear.
        exclude_customers: customers who may not appear.
    """

    include_items: tuple[str, ...] = ()
    new: int | None = None
    only: frozenset[str] | None = None
    include_where: Where | None = None
    placement: str | None = None
    exclude_items: frozenset[str] = frozenset()
    purchased: bool | None = None
    popular: Fraction | None = None
    exclude_where: Where | None = None
    boost: tuple[Lift, ...] | None = None
    at_most: tuple[tuple[str, int], ...] | None = None
    include_customers: tuple[Guest, ...] = ()
    only_customers: frozenset[str] | None = None
    exclude_customers: frozenset[str] = frozenset()


NO_RULES = Rules()


def parse_rules(given: Mapping[str, Any], most_ids: int = DEFAULT_MOST_IDS, *, baskets: bool = False) -> Rules:
    """Return the rules in the fields `SECTIONS` of a JSON object; other fields are not looked at.

    Args:
        given: the object.
        most_ids: the most ids that one list may hold.
        baskets: whether an entry of include.customers may bring a history.

    Raises:
        RuleError: a field is unknown, mistyped, out of range or too long, or an id stands in both lists of one kind.
    """
    include = fields.section(given, "include", INCLUDE)
    exclude = fields.section(given, "exclude", EXCLUDE)

    def ids(where: Mapping[str, Any], section: str, field: str, kind: str = "item") -> list[str] | None:
        return fields.ids(where.get(field), f"{section}.{field}", most_ids, kind)

    rules = Rules(
        include_items=tuple(ids(include, "include", "items") or ()),
        new=fields.a_count(include.get("new"), "include.new", "new items"),
        only=_frozen(ids(include, "include", "only")),
        include_where=_where(include, "include"),
        placement=fields.one_of(include.get("placement"), "include.placement", PLACEMENTS),
        exclude_items=frozenset(ids(exclude, "exclude", "items") or ()),
        purchased=fields.a_flag(exclude.get("purchased"), "exclude.purchased"),
        popular=fields.a_share_or_count(exclude.get("popular"), "exclude.popular"),
        exclude_where=_where(exclude, "exclude"),
        boost=_boost(given.get("boost"), most_ids),
        at_most=_at_most(given.get("at_most")),
        include_customers=_guests(include.get("customers"), most_ids, baskets),
        only_customers=_frozen(ids(include, "include", "only_customers", "customer")),
        exclude_customers=frozenset(ids(exclude, "exclude", "customers", "customer") or ()),
    )
    _refuse_both("items", rules.include_items, rules.exclude_items)
    _refuse_both("customers", tuple(guest.customer for guest in rules.include_customers), rules.exclude_customers)
    return rules


def parse_standing_rules(given: Mapping[str, Any]) -> Rules:
    """Return the rules of a whole rules.json; RuleError also where it has other fields than `SECTIONS`."""
    for name in given:
        if name not in SECTIONS:
            raise RuleError(name, f"{shown(name)} is no field of the rules{nearest(name, SECTIONS)}")
    return parse_rules(given, baskets=True)


def named_rules(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the path of each rule that a JSON object asks for, such as include.new, in the order of `SECTIONS`."""
    for name in SECTIONS:
        value = given.get(name)
        if value is None:
            continue
        if name in ("include", "exclude") and isinstance(value, dict):
            yield from (f"{name}.{field}" for field, inner in value.items() if inner not in (None, False))
        elif name not in ("include", "exclude"):
            yield name


def rules_as_json(rules: Rules) -> dict[str, Any]:
    """Return what `parse_standing_rules` reads as these rules again."""
    include = {
        "items": list(rules.include_items) or None,
        "new": rules.new,
        "only": None if rules.only is None else sorted(rules.only),
        "where": None if rules.include_where is None else where_as_json(rules.include_where),
        "placement": rules.placement,
        "customers": [_guest_as_json(guest) for guest in rules.include_customers] or None,
        "only_customers": None if rules.only_customers is None else sorted(rules.only_customers),
    }
    exclude = {
        "items": sorted(rules.exclude_items) or None,
        "purchased": rules.purchased,
        "popular": None if rules.popular is None else _plain(rules.popular),
        "where": None if rules.exclude_where is None else where_as_json(rules.exclude_where),
        "customers": sorted(rules.exclude_customers) or None,
    }
    sections: dict[str, Any] = {
        name: _present(section) for name, section in (("include", include), ("exclude", exclude))
    }
    if rules.boost is not None:
        sections["boost"] = [_lift_as_json(lift) for lift in rules.boost]
    if rules.at_most is not None:
        sections["at_most"] = dict(rules.at_most)
    return sections


def popular_count(popular: Fraction | None, n_items: int) -> int:
    """Return how many of `n_items` the rule `exclude.popular` names; a share is rounded up."""
    if popular is None:
        return 0
    return min(ceil(popular if popular >= 1 else popular * n_items), n_items)  # exact: 0.1 of 30 items are 3, not 4


def _frozen(ids: list[str] | None) -> frozenset[str] | None:
    return None if ids is None else frozenset(ids)


def _where(section: Mapping[str, Any], name: str) -> Where | None:
    value = section.get("where")
    return None if value is None else parse_where(value, f"{name}.where")


def _boost(value: Any, most_ids: int) -> tuple[Lift, ...] | None:
    if value is None:
        return None
    if isinstance(value, dict):
        return (_lift(value, "boost", most_ids),)
    entries = fields.a_list(value, "boost", MOST_BOOSTS, 'objects such as {"where": {...}, "by": 1.3}') or []
    return tuple(_lift(entry, f"boost[{number}]", most_ids) for number, entry in enumerate(entries))


def _lift(value: Any, path: str, most_ids: int) -> Lift:
    entry = fields.an_object(value, path, BOOST)
    where = entry.get("where")
    items = fields.ids(entry.get("items"), f"{path}.items", most_ids)
    if (where is None) == (items is None):
        raise RuleError(path, f"{path} is {shown(value)}, expected either where or items, and by.")
    by = fields.a_factor(entry.get("by"), f"{path}.by")
    return Lift(
        by=by,
        where=None if where is None else parse_where(where, f"{path}.where"),
        items=None if items is None else tuple(items),
        path=path,
    )


def _at_most(value: Any) -> tuple[tuple[str, int], ...] | None:
    caps = fields.caps(value, "at_most")
    return None if caps is None else tuple(caps.items())


def _guests(value: Any, most: int, baskets: bool) -> tuple[Guest, ...]:
    path = "include.customers"
    entries = fields.a_list(value, path, most, "customer ids") or []
    guests: dict[str, Guest] = {}
    for number, entry in enumerate(entries):
        where = f"{path}[{number}]"
        if baskets and isinstance(entry, dict):
            inner = fields.an_object(entry, where, ("customer", "history"))
            guest = Guest(fields.an_id(inner.get("customer"), f"{where}.customer"), inner.get("history"))
        else:
            guest = Guest(fields.an_id(entry, where))
        if guests.setdefault(guest.customer, guest) != guest:
            raise RuleError(where, f"{where} is {shown(guest.customer)}, who stands there before with another history.")
    return tuple(guests.values())


def _refuse_both(kind: str, included: tuple[str, ...], excluded: frozenset[str]) -> None:
    both = sorted(excluded.intersection(included))
    if both:
        message = f"{shown(both[0])} stands in both include.{kind} and exclude.{kind}: keep one."
        raise RuleError(f"exclude.{kind}", message)


def _guest_as_json(guest: Guest) -> Any:
    return guest.customer if guest.history is None else {"customer": guest.customer, "history": guest.history}


def _lift_as_json(lift: Lift) -> dict[str, Any]:
    where = None if lift.where is None else where_as_json(lift.where)
    return _present({"where": where, "items": None if lift.items is None else list(lift.items), "by": lift.by})


def _present(section: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in section.items() if value is not None}


def _plain(popular: Fraction) -> int | float:
    return popular.numerator if popular.denominator == 1 else float(popular)
