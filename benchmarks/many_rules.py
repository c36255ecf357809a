"""What rules cost: 1,000 instances in one request, each with rules of its own, beside the same instances with none.

    PYTHONPATH=container:. python benchmarks/many_rules.py [--items 70000] [--instances 1000] [--rounds 5]

The model is random, of 70,000 items x 64 factors with departments, brands and prices. Every instance has another rule
set: the kinds of rule go round, alone and together, and each draws its own ids, values and numbers. A client sends each
request through nginx to one worker of a real serve, rounds take turns; prints the median time until the answer is
there, and the ratio.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from alsriaz.model.arrays import ModelArrays, transposed
from alsriaz.model.attributes import Attributes, ItemTable
from alsriaz.model.folder import Model
from alsriaz.model.ids import NO_IDS, pack_ids
from alsriaz.model.manifest import Manifest
from alsriaz.model.writer import writing_model
from alsriaz.platform.days import Day
from alsriaz.platform.spec import parse_spec
from alsriaz.scoring.foldin import gram
from tests.serving.serving_process import Server, running_server

RANK, CUSTOMERS, PAIRS_EACH = 64, 5_000, 40


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--items", type=int, default=70_000)
    arguments.add_argument("--instances", type=int, default=1_000)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    rng = np.random.default_rng(7)
    plain = [{"customer": f"c{n % CUSTOMERS:06}"} for n in range(given.instances)]
    ruled = [{**one, **rule_set(rng, n, given.items)} for n, one in enumerate(plain)]
    assert len({json.dumps(one) for one in ruled}) == given.instances  # noqa: S101 - or it is not what it says
    kinds = {"no rules": plain, "rules": ruled}
    for name, kind in KINDS.items():
        kinds[f"only {name}"] = [{**one, **kind(rng, n, given.items)} for n, one in enumerate(plain)]
    times: dict[str, list[float]] = {name: [] for name in kinds}
    with tempfile.TemporaryDirectory() as root:
        write(random_model(rng, given.items), Path(root, "model"))
        with running_server({"ALSRIAZ_ML_ROOT": root, "ALSRIAZ_WORKERS": "1"}) as server:
            for _ in range(given.rounds):
                for name, instances in kinds.items():
                    times[name].append(answered_in(server, instances))
    base = statistics.median(times["no rules"])
    for name, taken in times.items():
        seconds = statistics.median(taken)
        print(f"{name:28} {seconds:7.3f} s   {seconds / base:5.2f} x")


def answered_in(server: Server, instances: list[dict[str, Any]]) -> float:
    """Return the seconds until the answer to a request is there."""
    body = json.dumps({"instances": instances})
    began = time.perf_counter()
    answer = server.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    taken = time.perf_counter() - began
    assert answer.status == 200 and b'"error"' not in answer.body, answer.body[:2000]  # noqa: S101 - or it means nothing
    return taken


def item(number: int) -> str:
    return f"i{number:07}"


def some_items(rng: np.random.Generator, n_items: int, count: int) -> list[str]:
    return [item(number) for number in rng.integers(0, n_items, count).tolist()]


KINDS: dict[str, Callable[[np.random.Generator, int, int], dict[str, Any]]] = {
    "exclude.items": lambda r, n, m: {"exclude": {"items": some_items(r, m, 20)}},
    "include.items": lambda r, n, m: {"include": {"items": list(dict.fromkeys(some_items(r, m, 3)))}},
    "include.new": lambda r, n, m: {"include": {"new": 1 + n % 5}, "exclude": {"items": some_items(r, m, 1)}},
    "include.only": lambda r, n, m: {"include": {"only": some_items(r, m, 50)}},
    "include.where": lambda r, n, m: {
        "include": {
            "where": {"department": [f"D{r.integers(50):02}" for _ in range(3)], "price": {"below": 1 + n / 50}}
        }
    },
    "exclude.where": lambda r, n, m: {"exclude": {"where": {"brand": [f"B{r.integers(2000):04}" for _ in range(5)]}}},
    "exclude.purchased": lambda r, n, m: {"exclude": {"purchased": True, "items": some_items(r, m, 1)}},
    "exclude.popular": lambda r, n, m: {"exclude": {"popular": 1 + n}},
    "boost": lambda r, n, m: {"boost": {"where": {"department": f"D{r.integers(50):02}"}, "by": 1 + (n + 1) / 1000}},
    "at_most": lambda r, n, m: {"at_most": {"department": 1 + n % 3}, "exclude": {"items": some_items(r, m, 1)}},
}


def rule_set(rng: np.random.Generator, number: int, n_items: int) -> dict[str, Any]:
    """Return the rules of instance `number`: one kind, or every fifth time three kinds together."""
    names = list(KINDS)
    chosen = [names[number % len(names)]]
    if number % 5 == 0:
        chosen += [names[(number // 5 + 3) % len(names)], names[(number // 7 + 6) % len(names)]]
    rules: dict[str, Any] = {}
    for name in dict.fromkeys(chosen):
        for section, value in KINDS[name](rng, number, n_items).items():
            rules[section] = {**rules.get(section, {}), **value} if section != "boost" else value
    return rules


def random_model(rng: np.random.Generator, n_items: int) -> Model:
    """Return a model of random factors whose items have departments, brands and prices."""
    items = rng.normal(size=(n_items, RANK)).astype(np.float32)
    item_text, item_offsets = pack_ids([item(n) for n in range(n_items)])
    customer_text, customer_offsets = pack_ids([f"c{n:06}" for n in range(CUSTOMERS)])
    bought = np.sort(rng.integers(0, n_items, (CUSTOMERS, PAIRS_EACH)), axis=1).astype("<i4").ravel()
    customers = np.bincount(bought, minlength=n_items)
    n_pairs = len(bought)
    offsets = np.arange(0, n_pairs + 1, PAIRS_EACH)
    buyer_offsets, buyers = transposed(offsets, bought, n_items)
    arrays = ModelArrays(
        customer_factors=rng.normal(size=(CUSTOMERS, RANK)).astype(np.float32),
        item_factors=items,
        item_gram=gram(items),
        customer_id_text=customer_text,
        customer_id_offsets=customer_offsets,
        item_id_text=item_text,
        item_id_offsets=item_offsets,
        purchase_offsets=offsets,
        purchase_items=bought,
        purchase_counts=np.ones(n_pairs, dtype="<i4"),
        purchase_quantities=np.ones(n_pairs),
        purchase_decayed=np.ones(n_pairs),
        buyer_offsets=buyer_offsets,
        buyers=buyers,
        item_customers=customers.astype("<i4"),
        items_by_popularity=np.argsort(-customers, kind="stable").astype("<i4"),
        item_first_days=(15_000 - rng.integers(0, 1_000, n_items)).astype("<i4"),
    )
    attributes = Attributes.of(
        {
            "department": [f"D{n:02}" for n in rng.integers(0, 50, n_items).tolist()],
            "brand": [f"B{n:04}" for n in rng.integers(0, 2_000, n_items).tolist()],
            "price": np.round(rng.gamma(2, 3, n_items), 2).tolist(),
        },
        n_items,
    )
    spec = parse_spec({"als_rank": RANK, "reco_item": 10})
    return Model(arrays, Manifest({}, "0123456789ab"), spec, Day(15_000), {}, ItemTable(attributes, NO_IDS))


def write(model: Model, folder: Path) -> None:
    facts = {
        "made_by": "a benchmark",
        "spec": model.spec.as_json(),
        "counts": {"customers": len(model.customer_ids), "items": len(model.item_ids)},
        "dates": {"first_day": "2010-01-01", "last_day": "2011-01-26"},
    }
    with writing_model(folder) as writer:
        writer.write(model.arrays, {}, model.item_table)
        writer.finish(facts)


if __name__ == "__main__":
    main()
