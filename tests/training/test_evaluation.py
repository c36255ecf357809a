"""Measures that are known by construction: scores put items in a known order, and the later purchases are chosen."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from alsriaz.model.folder import Model
from alsriaz.model.manifest import Manifest
from alsriaz.platform.days import Day
from alsriaz.platform.spec import parse_spec
from alsriaz.tables.sales import Purchases
from alsriaz.training.engines import FittedFactors
from alsriaz.training.evaluation import Evaluation, Measures, evaluate
from alsriaz.training.fitting import model_arrays
from alsriaz.training.pairs import Pairs, Window, pair_up

CUSTOMERS = ["ann", "bob", "cy", "dan"]
ITEMS = [f"i{n:02}" for n in range(14)]
EARLY, LATE = 5, 50


def pairs_of(rows: Sequence[tuple[int, int, int]]) -> tuple[Purchases, Pairs, Pairs]:
    columns = np.array(rows, dtype=np.int32).reshape(-1, 3)
    purchases = Purchases(CUSTOMERS, ITEMS, columns[:, 0], columns[:, 1], np.ones(len(columns)), columns[:, 2])
    earlier, later = Window(Day(0), Day(9)), Window(Day(10), Day(99))
    return purchases, pair_up(purchases, earlier, 90), pair_up(purchases, later, 90)


def known(
    rows: Sequence[tuple[int, int, int]], standing: Mapping[str, Any] | None = None
) -> tuple[Model, Pairs, Pairs]:
    """Return a model that scores items by their position, the last best, for everybody, and knows 13 items."""
    everything = [(3, item, EARLY) for item in range(13)]
    purchases, earlier, later = pairs_of([*everything, *rows])
    items = np.arange(13, dtype=np.float32).reshape(-1, 1)
    factors = FittedFactors(np.ones((earlier.n_customers, 1), dtype=np.float32), items)
    arrays = model_arrays(earlier, purchases, factors)
    spec = parse_spec({"als_rank": 1})
    return Model(arrays, Manifest({}, "0123456789ab"), spec, Day(9), standing or {}), earlier, later


class Measured(NamedTuple):
    """The groups of an evaluation without rules."""

    model: Measures
    popular: Measures
    model_new: Measures
    popular_new: Measures


def evaluation_of(rows: Sequence[tuple[int, int, int]], standing: Mapping[str, Any] | None = None) -> Evaluation:
    evaluation = evaluate(*known(rows, standing))
    assert evaluation is not None
    return evaluation


def measured(rows: Sequence[tuple[int, int, int]]) -> Measured:
    return Measured(**evaluation_of(rows).groups)


def test_a_hit_at_the_first_place() -> None:
    model = measured([(0, 0, EARLY), (0, 12, LATE)]).model
    assert (model.ndcg, model.precision, model.recall, model.customers) == (1, 0.1, 1, 1)


def test_a_hit_at_the_third_place_of_two_wanted() -> None:
    model = measured([(0, 0, EARLY), (0, 10, LATE), (0, 1, LATE)]).model
    assert model.ndcg == pytest.approx((1 / math.log2(4)) / (1 + 1 / math.log2(3)))
    assert (model.precision, model.recall) == (0.1, 0.5)


def test_the_ideal_is_capped_at_ten() -> None:
    model = measured([(0, 0, EARLY), *((0, item, LATE) for item in range(1, 13))]).model
    assert model.ndcg == pytest.approx(1)
    assert model.precision == 1
    assert model.recall == pytest.approx(10 / 12)


def test_what_was_bought_before_counts_only_over_all_items() -> None:
    evaluation = measured([(0, 12, EARLY), (0, 12, LATE), (0, 11, LATE)])
    assert evaluation.model.ndcg == pytest.approx(1)
    assert evaluation.model_new.ndcg == 1, "without item 12 the first place is item 11"
    assert evaluation.model_new.recall == 1


def test_unknown_customers_and_items_are_left_out() -> None:
    evaluation = measured([(0, 0, EARLY), (0, 13, LATE), (0, 12, LATE), (1, 12, LATE)])
    assert evaluation.model.customers == 1, "bob was not known"
    assert evaluation.model.recall == 1, "item 13 was not known"


def test_most_popular_ranks_by_customers() -> None:
    evaluation = measured([(0, 4, EARLY), (1, 4, EARLY), (1, 2, EARLY), (0, 2, LATE)])
    assert evaluation.popular.ndcg == pytest.approx(1 / math.log2(3)), "item 4 has three customers, item 2 two"
    assert evaluation.popular_new.ndcg == 1, "ann has bought item 4"


def test_means_are_over_customers_and_named_for_the_platform() -> None:
    metrics = evaluation_of([(0, 0, EARLY), (1, 0, EARLY), (0, 12, LATE), (1, 0, LATE)]).metrics()
    assert metrics["recall_at_10"] == 0.5
    assert list(metrics) == [
        *("ndcg_at_10", "precision_at_10", "recall_at_10"),
        *("popular_ndcg_at_10", "popular_precision_at_10", "popular_recall_at_10"),
        *("ndcg_at_10_new", "precision_at_10_new", "recall_at_10_new"),
        *("popular_ndcg_at_10_new", "popular_precision_at_10_new", "popular_recall_at_10_new"),
    ]


NOBODY = [
    ([], "nothing was bought later"),
    ([(1, 3, LATE)], "only by a stranger"),
    ([(3, 13, LATE)], "only an unknown item"),
]


@pytest.mark.parametrize(("rows", "why"), NOBODY, ids=[why for _, why in NOBODY])
def test_nobody_to_test(rows: list[tuple[int, int, int]], why: str) -> None:
    assert evaluate(*known(rows)) is None


def test_only_old_purchases_were_repeated() -> None:
    assert measured([(0, 12, EARLY), (0, 12, LATE)]).model_new.customers == 0


def test_what_the_standing_rules_cost_is_measured_beside() -> None:
    rows = [(0, 0, EARLY), (0, 12, LATE), (0, 11, LATE)]
    evaluation = evaluation_of(rows, {"exclude": {"items": ["i12"]}})
    assert evaluation.groups["model"] == evaluation_of(rows).groups["model"], "without rules nothing changes"
    assert evaluation.groups["rules"].ndcg == pytest.approx(1 / (1 + 1 / math.log2(3))), "item 11 is first, 12 is gone"
    assert evaluation.groups["rules_new"].recall == 0.5
    assert list(evaluation.metrics())[-6:] == [
        *("rules_ndcg_at_10", "rules_precision_at_10", "rules_recall_at_10"),
        *("rules_ndcg_at_10_new", "rules_precision_at_10_new", "rules_recall_at_10_new"),
    ]


def test_more_that_must_appear_than_are_measured_can_be_evaluated() -> None:
    forced = [f"i{n:02}" for n in range(12)]
    evaluation = evaluation_of([(0, 0, EARLY), (0, 12, LATE)], {"include": {"items": forced, "placement": "first"}})
    assert evaluation.groups["rules"].recall == 0, "the first ten places are taken"
