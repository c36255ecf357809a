"""The shop's include and exclude rules: read from JSON, laid in layers.

    "include": {"items": [...], "new": 2, "only": [...], "placement": "score" or "first"}
    "exclude": {"items": [...], "purchased": false, "popular": 0}

What they mean for a list is told in `core.lists`; docs/http-api.md has them for users.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, isfinite
from typing import Any

from alsriaz.core.errors import RuleError
from alsriaz.core.ids import parse_id
from alsriaz.core.setting import nearest, shown, whole_number

PLACEMENTS = ("score", "first")
DEFAULT_MOST_IDS = 100_000
MOST_ITEMS = 10**9


@dataclass(frozen=True)
class Rules:
    """One layer of rules: the standing ones, or those of a request. None means that the layer doesn't say.

    Attributes:
        include_items: ids that must appear, in the order given, each once.
        new: at least so many new items must appear.
        only: nothing else may appear; an empty set means nothing.
        placement: "score" or "first".
        exclude_items: ids that may not appear.
        purchased: True where what the customer bought may not appear.
        popular: how many of the most popular items may not appear: a whole number of items, or a share below 1.
    """

    include_items: tuple[str, ...] = ()
    new: int | None = None
    only: frozenset[str] | None = None
    placement: str | None = None
    exclude_items: frozenset[str] = frozenset()
    purchased: bool | None = None
    popular: Fraction | None = None


NO_RULES = Rules()


def parse_rules(given: Mapping[str, Any], most_ids: int = DEFAULT_MOST_IDS) -> Rules:
    """Return the rules in the fields `include` and `exclude` of a JSON object; other fields are not looked at.

    Raises:
        RuleError: a field is unknown, mistyped, out of range or too long, or an id stands in both item lists.
    """
    include = _section(given, "include", ("items", "new", "only", "placement"))
    exclude = _section(given, "exclude", ("items", "purchased", "popular"))
    only = _ids(include, "include", "only", most_ids)
    rules = Rules(
        include_items=tuple(_ids(include, "include", "items", most_ids) or ()),
        new=_new(include),
        only=None if only is None else frozenset(only),
        placement=_placement(include),
        exclude_items=frozenset(_ids(exclude, "exclude", "items", most_ids) or ()),
        purchased=_purchased(exclude),
        popular=_popular(exclude),
    )
    both = sorted(rules.exclude_items.intersection(rules.include_items))
    if both:
        raise RuleError("exclude.items", f"{shown(both[0])} stands in both include.items and exclude.items: keep one.")
    return rules


def parse_standing_rules(given: Mapping[str, Any]) -> Rules:
    """Return the rules of a whole rules.json; RuleError also where it has other fields than the two."""
    for name in given:
        if name not in ("include", "exclude"):
            raise RuleError(name, f"{shown(name)} is no field of the rules{nearest(name, ('include', 'exclude'))}")
    return parse_rules(given)


def rules_as_json(rules: Rules) -> dict[str, Any]:
    """Return what `parse_standing_rules` reads as these rules again."""
    include: dict[str, Any] = {
        "items": list(rules.include_items) or None,
        "new": rules.new,
        "only": None if rules.only is None else sorted(rules.only),
        "placement": rules.placement,
    }
    popular = None if rules.popular is None else _plain(rules.popular)
    exclude: dict[str, Any] = {
        "items": sorted(rules.exclude_items) or None,
        "purchased": rules.purchased,
        "popular": popular,
    }
    sections = {"include": include, "exclude": exclude}
    return {name: {k: v for k, v in section.items() if v is not None} for name, section in sections.items()}


def popular_count(popular: Fraction | None, n_items: int) -> int:
    """Return how many of `n_items` the rule `exclude.popular` names; a share is rounded up."""
    if popular is None:
        return 0
    return min(ceil(popular if popular >= 1 else popular * n_items), n_items)  # exact: 0.1 of 30 items are 3, not 4


def _section(given: Mapping[str, Any], name: str, fields: tuple[str, ...]) -> Mapping[str, Any]:
    section = given.get(name)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise RuleError(name, f"{name} is {shown(section)}, expected an object with {', '.join(fields)}.")
    for field in section:
        if field not in fields:
            raise RuleError(f"{name}.{field[:80]}", f"{name} has no field {shown(field)}{nearest(field, fields)}")
    return section


def _ids(section: Mapping[str, Any], name: str, field: str, most: int) -> list[str] | None:
    """Return the ids of a list, each once, in order; None where the list is absent."""
    given = section.get(field)
    if given is None:
        return None
    path = f"{name}.{field}"
    if not isinstance(given, list):
        raise RuleError(path, f"{path} is {shown(given)}, expected a list of item ids.")
    if len(given) > most:
        raise RuleError(path, f"{path} has {len(given)} ids, expected at most {most}.")
    ids: dict[str, None] = {}
    for number, value in enumerate(given):
        try:
            ids[parse_id(value)] = None
        except ValueError as error:
            raise RuleError(f"{path}[{number}]", f"{path}[{number}] is {shown(value)}: {error}.") from None
    return list(ids)


def _new(include: Mapping[str, Any]) -> int | None:
    value = include.get("new")
    if value is None:
        return None
    number = whole_number(value)
    if number is None or not 0 <= number <= MOST_ITEMS:
        raise RuleError(
            "include.new",
            f"include.new is {shown(value)}, expected a whole number of new items from 0 to {MOST_ITEMS}.",
        )
    return number


def _placement(include: Mapping[str, Any]) -> str | None:
    value = include.get("placement")
    if value is not None and value not in PLACEMENTS:
        raise RuleError("include.placement", f'include.placement is {shown(value)}, expected "score" or "first".')
    return value


def _purchased(exclude: Mapping[str, Any]) -> bool | None:
    value = exclude.get("purchased")
    if value is not None and not isinstance(value, bool):
        raise RuleError("exclude.purchased", f"exclude.purchased is {shown(value)}, expected true or false.")
    return value


def _plain(popular: Fraction) -> int | float:
    return popular.numerator if popular.denominator == 1 else float(popular)


def _popular(exclude: Mapping[str, Any]) -> Fraction | None:
    value = exclude.get("popular")
    if value is None:
        return None
    number = whole_number(value) if not isinstance(value, float) or isfinite(value) else None
    if number is not None and 0 <= number <= MOST_ITEMS:
        return Fraction(number)
    if isinstance(value, float) and 0 < value < 1:
        return Fraction(repr(value))  # as written: 0.1 is a tenth
    raise RuleError(
        "exclude.popular",
        f"exclude.popular is {shown(value)}, expected a whole number of items from 0 to {MOST_ITEMS}, "
        "or a share of them below 1.",
    )
