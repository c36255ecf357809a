"""Real Spark. Fold-in is Spark's own last step: for a customer of the training set it gives the stored factors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alsriaz.errors import CallerError
from alsriaz.platform.spec import parse_spec
from alsriaz.scoring.foldin import Equations, gram
from alsriaz.training.engines import Blocks, Engine, FittedFactors, RatingMatrix, blocks_for, open_engine
from alsriaz.training.engines.jvm import MODULE_OPTIONS
from alsriaz.training.engines.spark import SparkEngine

pytestmark = pytest.mark.spark

N_CUSTOMERS, N_ITEMS, RANK = 90, 50, 6  # lopsided, so that swapped axes are noticed


@pytest.fixture(scope="module")
def matrix() -> RatingMatrix:
    """Two tastes: customers of even position buy items of even position, and a few others."""
    rng = np.random.default_rng(5)
    like = (np.arange(N_CUSTOMERS)[:, None] + np.arange(N_ITEMS)) % 2 == 0
    bought = rng.random((N_CUSTOMERS, N_ITEMS)) < np.where(like, 0.4, 0.03)
    bought[:, 0] |= ~bought.any(axis=1)
    bought[0] |= ~bought.any(axis=0)
    customers, items = np.nonzero(bought)
    ratings = rng.integers(1, 9, len(customers)).astype(np.float32)
    return RatingMatrix(customers.astype(np.int32), items.astype(np.int32), ratings, N_CUSTOMERS, N_ITEMS)


def fit(engine: Engine, matrix: RatingMatrix, **settings: object) -> FittedFactors:
    return engine.fit(matrix, blocks_for(matrix), parse_spec({"als_rank": RANK, **settings}), lambda text: None)


@pytest.mark.parametrize("nonnegative", [False, True], ids=["any sign", "nonnegative"])
@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
@pytest.mark.parametrize("iterations", [1, 10])
def test_folding_in_a_known_customer_gives_the_stored_scores_again(
    engine: Engine, matrix: RatingMatrix, iterations: int, feedback: str, nonnegative: bool
) -> None:
    factors = fit(engine, matrix, max_itter=iterations, feedback=feedback, nonnegative=nonnegative, alpha=3)
    item_gram = gram(factors.items)
    folded = np.empty_like(factors.customers)
    for customer in range(N_CUSTOMERS):
        pairs = matrix.customers == customer
        folded[customer] = Equations(
            factors.items[matrix.items[pairs]],
            matrix.ratings[pairs],
            item_gram,
            implicit=feedback == "implicit",
            alpha=3,
            reg_param=0.1,
            nonnegative=nonnegative,
        ).factors()
    stored = factors.customers.astype(np.float64) @ factors.items.T
    again = folded.astype(np.float64) @ factors.items.T
    assert np.abs(again - stored).max() <= 1e-5 * np.abs(stored).max()
    if nonnegative:
        assert (factors.customers >= 0).all()


def test_the_two_tastes_are_learnt(engine: Engine, matrix: RatingMatrix) -> None:
    factors = fit(engine, matrix)
    scores = factors.customers @ factors.items.T
    same = (np.arange(N_CUSTOMERS)[:, None] + np.arange(N_ITEMS)) % 2 == 0
    assert scores[same].mean() > 3 * scores[~same].mean()


def test_the_seed_decides_and_nothing_else(engine: Engine, matrix: RatingMatrix) -> None:
    first, again, other = (fit(engine, matrix, seed=seed) for seed in (1, 1, 2))
    assert first.items.tobytes() == again.items.tobytes()
    assert first.customers.tobytes() == again.customers.tobytes()
    assert first.items.tobytes() != other.items.tobytes()


def test_the_library_that_computes_is_named(engine: Engine, matrix: RatingMatrix) -> None:
    assert engine.arithmetic in ("OpenBLAS", "Java")


def test_java_gets_the_options_that_sparks_own_launcher_would_give(engine: SparkEngine) -> None:
    jvm: Any = engine._running().sparkContext._jvm
    assert list(MODULE_OPTIONS) == jvm.org.apache.spark.launcher.JavaModuleOptions.defaultModuleOptions().split()


def test_spark_is_told_to_be_nobody_of_this_machine(engine: SparkEngine) -> None:
    """Else a user id that /etc/passwd lacks could not train."""
    jvm: Any = engine._running().sparkContext._jvm
    assert jvm.org.apache.hadoop.security.UserGroupInformation.getCurrentUser().getUserName() == "alsriaz"


def test_java_that_does_not_start_has_the_last_word(tmp_path: Path, matrix: RatingMatrix) -> None:
    words = r"^Spark did not start, with a heap of 600 MB: Initial heap size set to a larger value than the maximum"
    with SparkEngine(tmp_path, 600, ["-Xms1g"]) as engine, pytest.raises(CallerError, match=words):
        fit(engine, matrix)


def test_java_that_was_killed_is_told_once_and_in_words(
    tmp_path: Path, matrix: RatingMatrix, capfd: pytest.CaptureFixture[str]
) -> None:
    with SparkEngine(tmp_path, 600) as engine:
        fit(engine, matrix, max_itter=1)
        engine._jvm.process.kill()
        engine._jvm.process.wait()
        with pytest.raises(
            CallerError, match=rf"ended from outside, most likely for want of memory \(als_rank {RANK}, "
        ):
            fit(engine, matrix, max_itter=1)
    assert capfd.readouterr() == ("", ""), "the terminal is for our own words"


def test_an_engine_that_is_left_early_leaves_no_java(tmp_path: Path) -> None:
    with SparkEngine(tmp_path, 600) as engine:
        pass
    assert engine._jvm.ended
    assert not engine._starting.is_alive()


SIZES = [
    (2, 2, 2, Blocks(2, 2), "at least two, so that two cores have work"),
    (1_000_001, 900, 50, Blocks(3, 3), "one for each 500,000 pairs, rounded up"),
    (10**9, 10**6, 20, Blocks(64, 20), "64 at most, and no more than there are items"),
]


@pytest.mark.parametrize(("pairs", "customers", "items", "blocks", "why"), SIZES, ids=[why for *_, why in SIZES])
def test_blocks_depend_on_the_data_alone(pairs: int, customers: int, items: int, blocks: Blocks, why: str) -> None:
    ratings = np.broadcast_to(np.float32(1), (pairs,))
    positions = np.broadcast_to(np.int32(0), (pairs,))
    assert blocks_for(RatingMatrix(positions, positions, ratings, customers, items)) == blocks


def test_an_unknown_engine_is_a_defect(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'gpu' is no engine"):
        open_engine("gpu", tmp_path)
