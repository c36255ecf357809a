"""Against Spark itself: pyspark's own ALS, run by the test, on ratings that the test works out from the raw rows."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

from alsriaz.model.folder import open_model
from tests.train_process import as_csv, groceries, lay_out, trained

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    scratch = tmp_path_factory.mktemp("spark")
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.shuffle.partitions", 2)  # of the joins that predict; 200 for 1,000 rows else
    session = builder.config("spark.driver.host", "127.0.0.1").config("spark.local.dir", str(scratch)).getOrCreate()
    yield session
    gateway: Any = session.sparkContext._gateway
    session.stop()
    gateway.proc.stdin.close()
    gateway.proc.wait(60)


@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
def test_predictions_are_those_of_sparks_own_als(tmp_path: Path, session: SparkSession, feedback: str) -> None:
    spec = {"als_rank": 8, "max_itter": 5, "reg_param": 0.05, "alpha": 2, "feedback": feedback, "holdout_days": 0}
    run = trained(lay_out(tmp_path / "ml", {"sales.csv": as_csv(groceries())}, spec))
    model = open_model(run.model)
    counts = Counter((customer, item) for customer, item, quantity, _ in groceries() if quantity > 0)
    customers = {customer: n for n, customer in enumerate(sorted({pair[0] for pair in counts}))}
    items = {item: n for n, item in enumerate(sorted({pair[1] for pair in counts}))}
    ratings = [(customers[customer], items[item], float(count)) for (customer, item), count in counts.items()]
    blocks = run.manifest()["blocks"]
    als = ALS(
        userCol="customer",
        itemCol="item",
        ratingCol="rating",
        rank=8,
        maxIter=5,
        regParam=0.05,
        alpha=2.0,
        implicitPrefs=feedback == "implicit",
        numUserBlocks=blocks["customers"],
        numItemBlocks=blocks["items"],
        seed=42,
    )
    fitted = als.fit(session.createDataFrame(ratings, "customer int, item int, rating float"))
    rng = np.random.default_rng(1)
    pairs = list({(int(rng.integers(len(customers))), int(rng.integers(len(items)))) for _ in range(1000)})
    rows = fitted.transform(session.createDataFrame(pairs, "customer int, item int")).collect()
    assert len(rows) == len(pairs) > 900
    predicted = np.array([row["prediction"] for row in rows])
    assert np.abs(predicted).max() > 0.1, "there is something to agree on"
    left = model.arrays.customer_factors[[row["customer"] for row in rows]].astype(np.float64)
    ours = (left * model.arrays.item_factors[[row["item"] for row in rows]]).sum(axis=1)
    assert ours == pytest.approx(predicted, abs=1e-4)
