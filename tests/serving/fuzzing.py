"""Requests that nobody would write: well-formed ones with parts replaced, grown, dropped, or moved elsewhere.

Request `number` of a seed is always the same, so that a failure can be had again: ``fuzzed(seed, number)``.
"""

import copy
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from alsriaz.model.attributes import Attributes, ItemTable, column_of
from alsriaz.model.folder import Model
from alsriaz.model.ids import NO_IDS
from benchmarks.many_rules import random_model

N_ITEMS, N_CUSTOMERS = 20_000, 500
ATTRIBUTES = ("department", "brand", "price")
RULES = ("include", "exclude", "boost", "at_most")


def large_shop() -> Model:
    """Return a random model most of whose items share one department, so that caps starve the best items."""
    rng = np.random.default_rng(6)
    model = random_model(rng, N_ITEMS)
    columns = [column for column in model.attributes.columns if column.name != "department"]
    numbers = np.where(rng.random(N_ITEMS) < 0.95, 0, rng.integers(0, 50, N_ITEMS))
    department = column_of("department", [f"D{number:02}" for number in numbers.tolist()])
    return replace(model, item_table=ItemTable(Attributes([department, *columns], N_ITEMS), NO_IDS))


def item(number: int) -> str:
    return f"i{number:07}"


def customer(number: int) -> str:
    return f"c{number:06}"


def body(seed: int, number: int) -> bytes:
    """Return the body of request `number`: mostly one record, else several."""
    draw = random.Random(f"{seed}/{number}")
    records = [record(draw) for _ in range(draw.choice([1, 1, 1, 2, 4]))]
    value = records[0] if len(records) == 1 else {"instances": records}
    text = json.dumps(value, ensure_ascii=draw.random() < 0.9, allow_nan=True)
    text = re.sub(r'"@(\d+)~(.*?)~(.*?)~(.*?)@"', lambda found: written(*found.groups()), text)
    if draw.random() < 0.02:
        text = text[: draw.randrange(len(text))]
    return text.encode(errors="surrogatepass")


def record(draw: random.Random) -> Any:
    """Return a well-formed record, harmed a few times or not at all."""
    record = well_formed(draw)
    for _ in range(draw.choice([0, 1, 1, 1, 2, 5])):
        record = harm(draw, record)
    return record


def well_formed(draw: random.Random) -> dict[str, Any]:
    task = draw.choice(["recommend", "recommend", "recommend", "popular", "similar", "audience", "score", "explain"])
    some = {name: make(draw) for name, make in FIELDS[task].items() if draw.random() < 0.6}
    needed = {"recommend": "customer", "similar": "item", "audience": "item", "score": "items", "explain": "item"}
    if task in needed:
        some[needed[task]] = FIELDS[task][needed[task]](draw)
    if task in ("score", "explain"):
        some["customer"] = some_customer(draw)
    if "offset" in some:
        some["offset"] = some.get("k", 10) * draw.choice([0, 1, 3, 10_000 // some.get("k", 10)])
    if task in ("similar", "audience") and "items" in some:
        some.pop("item", None)
    return {"task": task, **some}


def some_item(draw: random.Random) -> str:
    return item(draw.randrange(N_ITEMS + 50))


def some_customer(draw: random.Random) -> str:
    return customer(draw.randrange(N_CUSTOMERS + 5))


def several(make: Callable[[random.Random], Any], *sizes: int) -> Callable[[random.Random], list[Any]]:
    return lambda draw: [make(draw) for _ in range(draw.choice(sizes))]


def where(draw: random.Random) -> dict[str, Any]:
    department: list[Any] = [f"D{draw.randrange(60):02}" for _ in range(draw.choice([1, 3, 1000]))]
    brand = f"B{draw.randrange(2_100):04}"
    price = {draw.choice(["below", "above", "from", "to"]): draw.choice([0, 3, 2.5, 1e300])}
    whole = {"department": draw.choice([department, department[0]]), "brand": brand, "price": draw.choice([price, 5])}
    return {name: whole[name] for name in draw.sample(ATTRIBUTES, draw.choice([1, 1, 2, 3]))}


def lift(draw: random.Random) -> dict[str, Any]:
    which = {"where": where(draw)} if draw.random() < 0.7 else {"items": several(some_item, 1, 5, 1000)(draw)}
    return {**which, "by": draw.choice([0, 0.5, 1, 1.3, 100])}


def caps(draw: random.Random) -> dict[str, int]:
    return {name: draw.choice([1, 2, 1000]) for name in draw.sample(ATTRIBUTES, draw.choice([1, 2, 3]))}


def part(draw: random.Random, makers: dict[str, Callable[[random.Random], Any]]) -> dict[str, Any]:
    return {name: makers[name](draw) for name in draw.sample(sorted(makers), draw.choice([1, 1, 2, 3]))}


INCLUDE: dict[str, Callable[[random.Random], Any]] = {
    "items": several(some_item, 1, 3, 900),
    "new": lambda draw: draw.choice([0, 2, 1000, 10**9]),
    "only": several(some_item, 0, 20, 5_000),
    "where": where,
    "placement": lambda draw: draw.choice(["score", "first"]),
}
EXCLUDE: dict[str, Callable[[random.Random], Any]] = {
    "items": several(some_item, 1, 20, 5_000),
    "popular": lambda draw: draw.choice([0, 5, 0.3, 0.999, 10**9]),
    "where": where,
}
COUNTED: dict[str, Callable[[random.Random], Any]] = {
    "k": lambda draw: draw.choice([1, 2, 5, 10, 100, 1000]),
    "offset": lambda draw: 0,
}
LISTED: dict[str, Callable[[random.Random], Any]] = {
    **COUNTED,
    "include": lambda draw: part(draw, INCLUDE),
    "exclude": lambda draw: part(draw, EXCLUDE),
    "boost": lambda draw: draw.choice([lift(draw), [lift(draw) for _ in range(draw.choice([0, 2, 16]))]]),
    "at_most": caps,
    "show": lambda draw: draw.sample(ATTRIBUTES, draw.choice([0, 1, 3])),
}
BUYER: dict[str, Callable[[random.Random], Any]] = {
    "customer": some_customer,
    "history": lambda draw: [
        draw.choice(
            [some_item(draw), {"item": some_item(draw), "quantity": draw.choice([1, 1e15]), "date": "2011-01-01"}]
        )
        for _ in range(draw.choice([0, 1, 5, 300]))
    ],
    "on_unknown": lambda draw: draw.choice(["popular", "error"]),
}
FIELDS: dict[str, dict[str, Callable[[random.Random], Any]]] = {
    "recommend": {**BUYER, **LISTED},
    "popular": LISTED,
    "similar": {
        "item": some_item,
        "items": several(some_item, 1, 3, 1000),
        "measure": lambda draw: draw.choice(["cosine", "inner_product"]),
        **LISTED,
    },
    "audience": {
        "item": some_item,
        "items": several(some_item, 1, 3, 1000),
        **COUNTED,
        "include": lambda draw: {"customers": several(some_customer, 1, 3)(draw), "placement": "first"},
        "exclude": lambda draw: {"customers": several(some_customer, 9)(draw), "purchased": True},
    },
    "score": {
        "items": several(some_item, 1, 50, 5_000),
        "order": lambda draw: draw.choice(["given", "score"]),
        "show": LISTED["show"],
        **{name: make for name, make in BUYER.items() if name != "customer"},
    },
    "explain": {"item": some_item, "k": COUNTED["k"], "history": BUYER["history"], "show": LISTED["show"]},
}


def written(count: str, opening: str, inside: str, closing: str) -> str:
    """Return JSON that Python's own encoder would not write: nested deeply, or a number beyond all floats."""
    return opening.replace("'", '"') * int(count) + inside + closing * int(count)


NASTY: Sequence[Callable[[random.Random], Any]] = (
    lambda draw: draw.choice([None, True, False, "", [], {}, [[]], [{}], {"": {}}]),
    lambda draw: draw.choice([0, -1, 1, 2, 2**31, 2**63, 2**64, -(2**70), 10**400, 10**4000, 1001, 100_001]),
    lambda draw: draw.choice([0.5, -0.0, 1e-320, 1e308, -1e308, 1.5, 0.999999999, float("inf"), float("nan")]),
    lambda draw: draw.choice(["\ud800", "\udfff\ud800", "a\0b", "a\nb", "\u202e", "é" * 128, "x" * 257, "x" * 200_000]),
    lambda draw: draw.choice(["null", "NaN", "1e999", "0x10", "١٢", "__class__", "../..", "{{7*7}}", "%s%n", "'; --"]),
    lambda draw: draw.choice([*ATTRIBUTES, *RULES, "items", "where", "by", "by ", "WHERE", "customer"]),
    lambda draw: f"@{draw.choice([2, 100, 400, 900, 3_000])}~[~7~]@",
    lambda draw: f"@{draw.choice([2, 100, 400, 900, 3_000])}~{{'where':~7~}}@",
    lambda draw: draw.choice(["@1~~1e999~@", "@1~~-1e999~@", "@5000~1~~@", "@4300~1~~@"]),
    lambda draw: [draw.choice([None, 1, "x", some_item(draw)])] * draw.choice([17, 65, 1_001, 10_001, 100_001]),
    lambda draw: [item(number) for number in range(draw.choice([17, 1_001, N_ITEMS, 100_001]))],
    lambda draw: {f"a{number}": 1 for number in range(draw.choice([9, 17, 20_000]))},
    lambda draw: {name: 1 for name in ATTRIBUTES},
    lambda draw: where(draw),
    lambda draw: [lift(draw)] * draw.choice([1, 16, 17]),
)


def harm(draw: random.Random, record: Any) -> Any:
    """Change one place of the record, which is its caller's own, and return it; another value where it has none."""
    places = list(holders(record))
    if not places:
        return draw.choice(NASTY)(draw)
    holder, key = draw.choice(places)
    match draw.choice(["replace", "replace", "replace", "add", "drop", "wrap", "move", "repeat"]):
        case "replace":
            holder[key] = draw.choice(NASTY)(draw)
        case "add" if isinstance(holder, dict):
            holder[
                draw.choice([*RULES, *ATTRIBUTES, "items", "k", "offset", "history", "x", "\ud800", "y" * 5_000])
            ] = draw.choice(NASTY)(draw)
        case "drop":
            del holder[key]
        case "wrap":
            holder[key] = draw.choice([[holder[key]], {"where": holder[key]}, {"items": holder[key]}])
        case "move":
            other, name = draw.choice(places)
            holder[key] = copy.deepcopy(other[name])
        case "repeat" if isinstance(holder[key], list) and len(holder[key]) < 200:
            holder[key] = holder[key] * draw.choice([2, 17, 600])
    return record


def holders(value: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Yield every object or list with each of its keys, the first few of long ones."""
    keys = (
        list(value)[:20]
        if isinstance(value, dict)
        else list(range(min(len(value), 5)))
        if isinstance(value, list)
        else []
    )
    for key in keys:
        yield value, key
        if depth < 20:
            yield from holders(value[key], depth + 1)
