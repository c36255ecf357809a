"""What an answer should be, in plain Python over all pairs: the rules as docs/http-api.md has them, nothing clever.

It shares no code with the package: it takes the plain values a test made a model of, and a request's JSON object.
"""

import math
import statistics
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from tests.small_models import LAST_DAY, SmallModel

Place = tuple[str, float | None, str]


class Expected(NamedTuple):
    """The answer: source, (item, score, reason) by place, warnings' codes, all scores, and whether there is more."""

    source: str
    places: list[Place]
    warnings: list[str]
    left_out: frozenset[float]
    more: bool


class Contradiction(Exception):
    """The rules can't be kept: the request is an error."""


def expect(shop: SmallModel, request: dict[str, Any]) -> Expected:
    """Work out the answer to a request of any task but explain, all fields well-formed."""
    task = request.get("task", "recommend")
    if task == "audience":
        return _audience(shop, request)
    if task == "similar":
        asked = request.get("items") or [request["item"]]
        known = [item for item in asked if item in shop.items]
        scores = _likeness(shop, known, request.get("measure", "cosine"))
        warnings = ["unknown_item"] * (len(set(asked)) - len(set(known)))
        return _ranked(shop, request, scores, set(asked), set(), "model", warnings)
    history = [entry if isinstance(entry, dict) else {"item": entry} for entry in request.get("history") or []]
    in_history = {entry["item"] for entry in history}
    warnings = ["unknown_item"] * len(in_history - set(shop.items))
    history = [entry for entry in history if entry["item"] in shop.items]
    customer = request.get("customer")
    if task == "popular":
        source = "popular"
    elif history:
        source = "history"
    else:
        source = "model" if customer in shop.customers else "popular"
    scores = _scores(shop, source, customer, history)
    bought = {p.item for p in shop.purchases if p.customer == customer} if source != "popular" else set()
    bought |= in_history
    if task == "score":
        return _scored(shop, request, scores, bought, source, warnings)
    return _ranked(shop, request, scores, set(), bought, source, warnings)


def _ranked(
    shop: SmallModel,
    request: dict[str, Any],
    scores: dict[str, float],
    barred: set[str],
    bought: set[str],
    source: str,
    warnings: list[str],
) -> Expected:
    k, offset = request.get("k", shop.spec["reco_item"]), request.get("offset", 0)
    rules = _united(shop.standing, request)
    reason = "popular" if source == "popular" else "model"
    pages, more = _Lister(shop, scores, barred, bought, rules, k, reason).pages(1 + offset // k)
    warnings += more if not offset else [code for code in more if code != "too_few_new"]
    return Expected(source, pages[-1][0], warnings, frozenset(scores.values()), pages[-1][1])


def _scored(
    shop: SmallModel,
    request: dict[str, Any],
    scores: dict[str, float],
    bought: set[str],
    source: str,
    warnings: list[str],
) -> Expected:
    """Score a given list; re-ranked, only what filters and what boosts holds."""
    items = list(dict.fromkeys(request["items"]))
    if request.get("order") != "score":
        given: list[Place] = [(item, scores.get(item), "") for item in request["items"]]
        warnings = warnings + ["never_sold"] * len(set(items) - set(shop.items))
        return Expected(source, given, warnings, frozenset(scores.values()), False)
    rules = _united(shop.standing, request)
    only = set(items) if rules["only"] is None else set(items) & rules["only"]
    lister = _Lister(shop, scores, set(), bought, {**rules, "items": [], "only": only}, len(items), "")
    out = rules["excluded"] | (bought if rules.get("purchased") else set())
    unsold = [item for item in items if item not in shop.items and item not in out]
    places: list[Place] = [(item, lister.scores[item], "") for item in lister.candidates]
    places += [(item, None, "") for item in unsold if lister.passes(item)]
    warnings = warnings + ["never_sold" for _, score, _ in places if score is None]
    return Expected(source, places, warnings, frozenset(scores.values()), False)


def _united(standing: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    names = ("include", "exclude", "boost", "at_most")
    layers: list[dict[str, Any]] = [standing, {name: request[name] for name in names if name in request}]
    rules: dict[str, Any] = {"items": [], "excluded": set(), "only": None, "in": [], "out": [], "caps": {}, "boost": []}
    for layer in layers:
        include, exclude = layer.get("include", {}), layer.get("exclude", {})
        rules["items"] += [item for item in include.get("items", []) if item not in rules["items"]]
        rules["excluded"] |= set(exclude.get("items", []))
        if "only" in include:
            only = set(include["only"])
            rules["only"] = only if rules["only"] is None else rules["only"] & only
        rules["in"] += [include["where"]] if "where" in include else []
        rules["out"] += [exclude["where"]] if "where" in exclude else []
        rules["caps"] |= layer.get("at_most", {})
        rules |= {name: include[name] for name in ("new", "placement") if name in include}
        rules |= {name: exclude[name] for name in ("purchased", "popular") if name in exclude}
        if "boost" in layer:
            rules["boost"] = layer["boost"] if isinstance(layer["boost"], list) else [layer["boost"]]
    return rules


class _Lister:
    """Lists items, page by page."""

    def __init__(
        self,
        shop: SmallModel,
        scores: dict[str, float],
        barred: set[str],
        bought: set[str],
        rules: dict[str, Any],
        k: int,
        reason: str,
    ) -> None:
        self.shop, self.rules, self.k, self.reason = shop, rules, k, reason
        self.everything = [*shop.items, *shop.unsold]
        self.forced = [item for item in rules["items"] if item not in rules["excluded"]]
        if len(self.forced) > k:
            raise Contradiction
        gone = rules["excluded"] | set(self.forced)
        gone |= barred | (bought if rules.get("purchased") else set())
        popular = _most_popular(shop, rules.get("popular", 0))
        self.candidates = [item for item in shop.items if item not in gone | popular and self.passes(item)]
        self.scores = self.boosted(scores)
        self.candidates.sort(key=self.order)
        self.fresh = [item for item in sorted(shop.unsold) if item not in gone and self.passes(item)]

    def passes(self, item: str) -> bool:
        if self.rules["only"] is not None and item not in self.rules["only"]:
            return False
        inside = all(self.matches(item, where) for where in self.rules["in"])
        return inside and not any(self.matches(item, where) for where in self.rules["out"])

    def value(self, item: str, attribute: str) -> Any:
        return self.shop.attributes[attribute][self.everything.index(item)] if item in self.everything else None

    def matches(self, item: str, where: dict[str, Any]) -> bool:
        return all(_meets(self.value(item, name), condition) for name, condition in where.items())

    def boosted(self, scores: dict[str, float]) -> dict[str, float]:
        spread = float(np.float32(statistics.pstdev([scores[c] for c in self.candidates]))) if self.candidates else 0.0
        raised = {}
        for item, score in scores.items():
            lifts = [b["by"] for b in self.rules["boost"] if item in b.get("items", ()) or self._described(item, b)]
            raised[item] = float(np.float32(score + sum((by - 1) * spread for by in lifts))) if lifts else score
        return raised

    def _described(self, item: str, boost: dict[str, Any]) -> bool:
        return "where" in boost and self.matches(item, boost["where"])

    def order(self, item: str) -> tuple[float, int]:
        return -self.scores[item], self.shop.items.index(item)

    def is_new(self, item: str) -> bool:
        if item not in self.shop.items:
            return item in self.shop.unsold
        return bool(self.shop.first_ages[self.shop.items.index(item)] < self.shop.spec["new_item_days"])

    def fits(self, item: str, page: list[str]) -> bool:
        """True where no cap keeps an item off a page that holds these."""
        for name, most in self.rules["caps"].items():
            value = self.value(item, name)
            if value is not None and sum(self.value(other, name) == value for other in page) >= most:
                return False
        return True

    def greedy(self, items: list[str], most: int, held: list[str]) -> list[str]:
        """Take items in order, as long as there is room, that caps let through beside what the page holds."""
        taken: list[str] = []
        for item in items:
            if len(taken) < most and self.fits(item, held + taken):
                taken.append(item)
        return taken

    def pages(self, count: int) -> tuple[list[tuple[list[Place], bool]], list[str]]:
        places, used, warnings = self.first_page()
        left = [item for item in self.candidates if item not in used]
        pages = [(places, bool(left))]
        for _ in range(count - 1):
            page = self.greedy(left, self.k, [])
            left = [item for item in left if item not in page]
            pages.append(([(item, self.scores[item], self.reason) for item in page], bool(left)))
        return pages, warnings

    def first_page(self) -> tuple[list[Place], set[str], list[str]]:
        shop, wanted = self.shop, self.rules.get("new", 0)
        sold = [item for item in self.forced if item in shop.items]
        unsold = sorted(item for item in self.forced if item not in shop.items)
        room = self.k - len(self.forced)
        by_score = self.greedy(self.candidates, room, self.forced)
        chosen, reserved, fresh = by_score, [], []
        if sum(map(self.is_new, self.forced + by_score)) < wanted:
            most = min(room, wanted - sum(map(self.is_new, self.forced)))
            reserved = self.greedy([item for item in self.candidates if self.is_new(item)], most, self.forced)
            fresh = self.greedy(self.fresh, most - len(reserved), self.forced + reserved)
            rest = [item for item in self.candidates if item not in reserved]
            held = self.forced + reserved + fresh
            chosen = self.greedy(rest, room - len(reserved) - len(fresh), held)
        warnings = ["never_sold"] * len(unsold)
        warnings += ["include_overruled"] * len(set(self.rules["items"]) & self.rules["excluded"])
        warnings += ["too_few_new"] * (sum(map(self.is_new, self.forced + chosen + reserved + fresh)) < wanted)
        extra = [item for item in reserved if item not in by_score]
        natural = sorted([item for item in chosen + reserved if item not in extra], key=self.order)
        groups = [(i, "included") for i in sold], [(i, "new") for i in sorted(extra, key=self.order)]
        listed = [*groups[0], *groups[1], *((item, self.reason) for item in natural)]
        if self.rules.get("placement") != "first":
            listed.sort(key=lambda place: self.order(place[0]))
        scoreless = sorted([(item, "included") for item in unsold] + [(item, "new") for item in fresh])
        places: list[Place] = [(item, self.scores[item], why) for item, why in listed]
        return places + [(item, None, why) for item, why in scoreless], {*chosen, *reserved}, warnings


def _meets(value: Any, condition: Any) -> bool:
    if value is None:
        return False
    if isinstance(condition, dict):
        tests = {
            "below": lambda bound: value < bound,
            "above": lambda bound: value > bound,
            "from": lambda bound: value >= bound,
            "to": lambda bound: value <= bound,
        }
        return all(tests[name](bound) for name, bound in condition.items())
    return value in (condition if isinstance(condition, list) else [condition])


def _popularity(shop: SmallModel) -> dict[str, int]:
    return {item: len({p.customer for p in shop.purchases if p.item == item}) for item in shop.items}


def _most_popular(shop: SmallModel, popular: float) -> set[str]:
    count = math.ceil(Fraction(str(popular)) * len(shop.items)) if 0 < popular < 1 else int(popular)
    customers = _popularity(shop)
    return set(sorted(shop.items, key=lambda item: (-customers[item], shop.items.index(item)))[:count])


def _product(one: Any, other: Any) -> float:
    return sum(float(a) * float(b) for a, b in zip(one, other, strict=True))


def _scores(shop: SmallModel, source: str, customer: str | None, history: list[dict[str, Any]]) -> dict[str, float]:
    if source == "popular":
        return {item: float(count) for item, count in _popularity(shop).items()}
    if source == "model":
        factors = shop.customer_factors[shop.customers.index(customer or "")]
    else:
        factors = folded_in(shop, customer, history)
    return {
        item: float(np.float32(_product(factors, row))) for item, row in zip(shop.items, shop.item_factors, strict=True)
    }


def _likeness(shop: SmallModel, asked: list[str], measure: str) -> dict[str, float]:
    rows = dict(zip(shop.items, shop.item_factors, strict=True))

    def alike(one: str, other: str) -> float:
        product = _product(rows[one], rows[other])
        if measure == "inner_product":
            return product
        norms = math.sqrt(_product(rows[one], rows[one])) * math.sqrt(_product(rows[other], rows[other]))
        return product / norms if norms else 0.0

    unique = list(dict.fromkeys(asked))
    return {item: float(np.float32(sum(alike(one, item) for one in unique) / len(unique))) for item in shop.items}


def _audience(shop: SmallModel, request: dict[str, Any]) -> Expected:
    asked = list(dict.fromkeys(request.get("items") or [request["item"]]))
    known = [item for item in asked if item in shop.items]
    rows = [shop.item_factors[shop.items.index(item)] for item in known]
    mean = [float(np.float32(sum(column) / len(rows))) for column in zip(*rows, strict=True)]
    scores = {
        customer: float(np.float32(_product(mean, factors)))
        for customer, factors in zip(shop.customers, shop.customer_factors, strict=True)
    }
    standing, include = shop.standing, request.get("include", {})
    exclude = {**standing.get("exclude", {}), **request.get("exclude", {})}
    excluded = {*standing.get("exclude", {}).get("customers", []), *request.get("exclude", {}).get("customers", [])}
    onlys = [layer["only_customers"] for layer in (standing.get("include", {}), include) if "only_customers" in layer]
    forced = [customer for customer in include.get("customers", []) if customer not in excluded]
    k, offset = request.get("k", shop.spec["reco_item"]), request.get("offset", 0)
    if len(forced) > k:
        raise Contradiction
    buyers = {p.customer for p in shop.purchases if p.item in known} if exclude.get("purchased") else set()

    def order(customer: str) -> tuple[float, int]:
        return -scores[customer], shop.customers.index(customer)

    out = {*excluded, *forced, *buyers}
    left = [c for c in shop.customers if c not in out and all(c in only for only in onlys)]
    left.sort(key=order)
    known_forced = [customer for customer in forced if customer in shop.customers]
    room = k - len(forced)
    first = [(c, scores[c], "included") for c in known_forced] + [(c, scores[c], "model") for c in left[:room]]
    if {**standing.get("include", {}), **include}.get("placement") != "first":
        first.sort(key=lambda place: order(place[0]))
    page: list[Place] = [*first, *((c, None, "included") for c in sorted(set(forced) - set(known_forced)))]
    rest = left[room:]
    if offset:
        page = [(c, scores[c], "model") for c in rest[offset - k : offset]]
    warnings = ["unknown_item"] * (len(asked) - len(known))
    warnings += ["not_in_model"] * (len(forced) - len(known_forced))
    warnings += ["include_overruled"] * len(set(include.get("customers", [])) & excluded)
    return Expected("model", page, warnings, frozenset(scores.values()), len(rest) > offset)


def folded_in(shop: SmallModel, customer: str | None, history: list[dict[str, Any]]) -> list[float]:
    """Solve the normal equations by hand, for implicit feedback with ratings by count."""
    counts: dict[str, int] = {p.item: p.count for p in shop.purchases if p.customer == customer}
    for entry in history:
        counts[entry["item"]] = counts.get(entry["item"], 0) + 1
    rows = np.array(shop.item_factors, dtype=np.float64)
    rank = rows.shape[1]
    left = rows.T @ rows + shop.spec.get("reg_param", 0.1) * len(counts) * np.eye(rank)
    right = np.zeros(rank)
    for item, count in counts.items():
        row = rows[shop.items.index(item)]
        left += count * np.outer(row, row)
        right += (1 + count) * row
    return [float(np.float32(value)) for value in np.linalg.inv(left) @ right]


__all__ = ["LAST_DAY", "Contradiction", "Expected", "expect", "folded_in"]
