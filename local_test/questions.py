"""The requests that the demo sends: local_test/payloads/ as the README shows them, with the ids of the cast."""

import json
from pathlib import Path
from typing import Any

from local_test.cast import Cast

PAYLOADS = Path(__file__).with_name("payloads")


def recommend(customer: str) -> dict[str, Any]:
    """Return the plain question: what will this customer buy?"""
    return payload("recommend.json") | {"customer": customer}


def under_rules(cast: Cast, n_items: int) -> dict[str, Any]:
    """Return the same question about the first customer, without popular items and with a new one forced in.

    Popular are 100 items, or a tenth of a small catalogue.
    """
    request = payload("rules.json")
    popular = min(request["exclude"]["popular"], max(n_items // 10, 1))
    return request | {
        "customer": cast.customers[0],
        "include": request["include"] | {"items": [cast.new_item]},
        "exclude": request["exclude"] | {"popular": popular},
    }


def by_basket(cast: Cast) -> dict[str, Any]:
    """Return the question about a customer without an id, by what lies in the basket."""
    request = payload("basket.json")
    entries = zip(request["history"], cast.basket, strict=False)  # a tiny catalogue fills no basket of three
    return request | {"history": [old | {"item": item} if isinstance(old, dict) else item for old, item in entries]}


def payload(name: str) -> dict[str, Any]:
    """Return one of the payload files."""
    found: dict[str, Any] = json.loads((PAYLOADS / name).read_text(encoding="utf-8"))
    return found
