"""`explain` on factors of real Spark: what each purchase adds sums to the score that Spark's own factors give."""

import numpy as np
import pytest

from alsriaz.model.folder import Model
from alsriaz.model.manifest import Manifest
from alsriaz.platform.days import Day
from alsriaz.platform.spec import parse_spec
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.tables.sales import Purchases
from alsriaz.training.engines import Engine
from alsriaz.training.fitting import fit, model_arrays
from alsriaz.training.pairs import Window, pair_up

pytestmark = pytest.mark.spark

N_CUSTOMERS, N_ITEMS, N_PAIRS = 60, 40, 1000
CUSTOMERS, ITEMS = ([f"{kind}{n:02}" for n in range(count)] for kind, count in (("c", N_CUSTOMERS), ("i", N_ITEMS)))
WINDOW = Window(Day(15_000), Day(15_099))


def purchases() -> Purchases:
    """Return random purchases, in which every customer and every item occurs."""
    rng = np.random.default_rng(8)
    customers = np.concatenate([np.arange(N_CUSTOMERS), rng.integers(0, N_CUSTOMERS, 900)])
    items = np.concatenate([np.arange(N_CUSTOMERS) % N_ITEMS, (rng.random(900) ** 2 * N_ITEMS).astype(int)])
    days = rng.integers(WINDOW.first, WINDOW.last + 1, len(customers))
    quantities = rng.integers(1, 9, len(customers)).astype(np.float64)
    return Purchases(
        CUSTOMERS, ITEMS, customers.astype(np.int32), items.astype(np.int32), quantities, days.astype(np.int32)
    )


def fitted(engine: Engine, **settings: object) -> Model:
    spec = parse_spec({"als_rank": 6, "max_itter": 5, "reg_param": 0.05, "alpha": 2, **settings})
    bought = purchases()
    pairs = pair_up(bought, WINDOW, spec.half_life_days)
    factors, _ = fit(engine, pairs, spec, lambda text: None)
    arrays = model_arrays(pairs, bought, factors)
    return Model(arrays, Manifest({}, "0123456789ab"), spec, WINDOW.last)


SPECS = [
    ({"feedback": "implicit"}, "implicit"),
    ({"feedback": "explicit"}, "explicit"),
    ({"feedback": "implicit", "nonnegative": True, "ranking_type": "recency"}, "implicit, nonnegative, by recency"),
    ({"feedback": "explicit", "nonnegative": True, "ranking_type": "total_qty"}, "explicit, nonnegative, by quantity"),
]


@pytest.mark.parametrize(("settings", "why"), SPECS, ids=[why for _, why in SPECS])
def test_contributions_sum_to_the_score(engine: Engine, settings: dict[str, object], why: str) -> None:
    model = fitted(engine, **settings)
    rng, recommender = np.random.default_rng(9), Recommender(Shop(model, Limits()))
    drawn = rng.permutation(N_CUSTOMERS * N_ITEMS)[:N_PAIRS]
    left, right = np.divmod(drawn, N_ITEMS)
    customers, items = model.arrays.customer_factors.astype(np.float64), model.arrays.item_factors.astype(np.float64)
    scores = (customers[left] * items[right]).sum(axis=1)
    asked = [{"task": "explain", "customer": CUSTOMERS[c], "item": ITEMS[i]} for c, i in zip(left, right, strict=True)]
    answers = [answer for _, answer in recommender.answers(asked)]
    sums = [sum(part["contribution"] for part in answer["contributions"]) for answer in answers]  # type: ignore[index]
    assert np.abs(np.array(sums) - scores).max() < 1e-4
    assert np.abs(np.array([answer["score"] for answer in answers]) - scores).max() < 1e-5  # type: ignore[index]
    assert np.abs(scores).max() > 0.1, "there is something to explain"
    for answer, customer in zip(answers, left, strict=True):
        bought = {ITEMS[item] for item in model.bought_by(int(customer))}
        assert {part["item"] for part in answer["contributions"]} == bought  # type: ignore[index]


def test_contributions_of_a_basket_sum_to_its_score(engine: Engine) -> None:
    recommender = Recommender(Shop(fitted(engine), Limits()))
    for number in range(100):
        basket = {"customer": CUSTOMERS[number % N_CUSTOMERS], "history": [ITEMS[number % 7], ITEMS[number % 37]]}
        item = ITEMS[number % N_ITEMS]
        explained = recommender.answer({"task": "explain", "item": item, "k": 2} | basket)
        (scored,) = recommender.answer({"task": "score", "items": [item]} | basket)["scores"]
        parts = sum(part["contribution"] for part in explained["contributions"])
        rest = explained.get("others", {"contribution": 0.0})["contribution"]
        assert explained["score"] == scored["score"]
        assert parts + rest == pytest.approx(scored["score"], abs=1e-4)
