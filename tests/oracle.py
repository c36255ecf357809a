"""What an answer should be, in plain Python over all pairs: the rules as docs/http-api.md has them, nothing clever.

It shares no code with the package: it takes the plain values a test made a model of, and a request's JSON object.
"""

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from tests.small_models import LAST_DAY, SmallModel


class Expected(NamedTuple):
    """The answer: source, (item, score, reason) by place, the codes of its warnings, and all scores there are."""

    source: str
    places: list[tuple[str, float | None, str]]
    warnings: list[str]
    left_out: frozenset[float]


class Contradiction(Exception):
    """The rules can't be kept: the request is an error."""


def expect(shop: SmallModel, request: dict[str, Any]) -> Expected:
    """Work out the answer to a `recommend` or `popular` request whose fields are all well-formed."""
    k = request.get("k", shop.spec["reco_item"])
    rules = _united(shop.standing, request)
    history = [entry if isinstance(entry, dict) else {"item": entry} for entry in request.get("history") or []]
    warnings = ["unknown_item"] * len({entry["item"] for entry in history} - set(shop.items))
    history = [entry for entry in history if entry["item"] in shop.items]
    customer = request.get("customer")
    if request.get("task") == "popular":
        source = "popular"
    elif history:
        source = "history"
    else:
        source = "model" if customer in shop.customers else "popular"
    scores = _scores(shop, source, customer, history)
    bought = {p.item for p in shop.purchases if p.customer == customer} if source != "popular" else set()
    bought |= {entry["item"] for entry in history}
    places, more = _place(shop, scores, bought, rules, k, "popular" if source == "popular" else "model")
    return Expected(source, places, warnings + more, frozenset(scores.values()))


def _united(standing: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    layers: list[dict[str, Any]] = [
        standing,
        {name: request[name] for name in ("include", "exclude") if name in request},
    ]
    rules: dict[str, Any] = {"items": [], "excluded": set(), "only": None}
    for layer in layers:
        include, exclude = layer.get("include", {}), layer.get("exclude", {})
        rules["items"] += [item for item in include.get("items", []) if item not in rules["items"]]
        rules["excluded"] |= set(exclude.get("items", []))
        if "only" in include:
            only = set(include["only"])
            rules["only"] = only if rules["only"] is None else rules["only"] & only
        rules |= {name: include[name] for name in ("new", "placement") if name in include}
        rules |= {name: exclude[name] for name in ("purchased", "popular") if name in exclude}
    return rules


def _popularity(shop: SmallModel) -> dict[str, int]:
    return {item: len({p.customer for p in shop.purchases if p.item == item}) for item in shop.items}


def _most_popular(shop: SmallModel, popular: float) -> set[str]:
    count = math.ceil(Fraction(str(popular)) * len(shop.items)) if 0 < popular < 1 else int(popular)
    customers = _popularity(shop)
    return set(sorted(shop.items, key=lambda item: (-customers[item], shop.items.index(item)))[:count])


def _scores(shop: SmallModel, source: str, customer: str | None, history: list[dict[str, Any]]) -> dict[str, float]:
    if source == "popular":
        return {item: float(count) for item, count in _popularity(shop).items()}
    if source == "model":
        factors = shop.customer_factors[shop.customers.index(customer or "")]
    else:
        factors = _folded_in(shop, customer, history)
    return {
        item: float(np.float32(sum(float(a) * float(b) for a, b in zip(factors, row, strict=True))))
        for item, row in zip(shop.items, shop.item_factors, strict=True)
    }


def _folded_in(shop: SmallModel, customer: str | None, history: list[dict[str, Any]]) -> list[float]:
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


def _place(
    shop: SmallModel, scores: dict[str, float], bought: set[str], rules: dict[str, Any], k: int, reason: str
) -> tuple[list[tuple[str, float | None, str]], list[str]]:
    wanted_new = rules.get("new", 0)
    forced = [item for item in rules["items"] if item not in rules["excluded"]]
    if len(forced) > k:
        raise Contradiction
    age = dict(zip(shop.items, shop.first_ages, strict=True))
    is_new = {item: age[item] < shop.spec["new_item_days"] for item in shop.items}
    barred = rules["excluded"] | _most_popular(shop, rules.get("popular", 0)) | set(forced)
    if rules.get("purchased"):
        barred |= bought
    only = set(shop.items) if rules["only"] is None else rules["only"]

    def order(item: str) -> tuple[float, int]:
        return -scores[item], shop.items.index(item)

    candidates = sorted((item for item in shop.items if item in only and item not in barred), key=order)
    sold = [item for item in forced if item in shop.items]
    unsold = sorted(item for item in forced if item not in shop.items)
    room = k - len(forced)
    chosen, rest = candidates[:room], candidates[room:]
    added: list[str] = []
    while sum(is_new[item] for item in sold + chosen + added) < wanted_new:
        news = [item for item in rest if is_new[item] and item not in added]
        olds = [item for item in chosen if not is_new[item]]
        if not news or not olds:
            break
        chosen.remove(olds[-1])
        added.append(news[0])
    short = sum(is_new[item] for item in sold + chosen + added) < wanted_new
    warnings = ["never_sold"] * len(unsold)
    warnings += ["include_overruled"] * len(set(rules["items"]) & rules["excluded"])
    warnings += ["too_few_new"] * short
    places = [(item, "included") for item in sold], [(item, "new") for item in added], [(i, reason) for i in chosen]
    if rules.get("placement") == "first":
        listed = places[0] + sorted(places[1], key=lambda p: order(p[0])) + places[2]
    else:
        listed = sorted(places[0] + places[1] + places[2], key=lambda p: order(p[0]))
    answer: list[tuple[str, float | None, str]] = [(item, scores[item], why) for item, why in listed]
    return answer + [(item, None, "included") for item in unsold], warnings


__all__ = ["LAST_DAY", "Contradiction", "Expected", "expect"]
