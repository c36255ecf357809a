"""The best 10 of all items for many customers, and for one: ours beside NumPy alone and beside `implicit`.

    OPENBLAS_NUM_THREADS=1 PYTHONPATH=container:. python benchmarks/ranking.py [--implicit PYTHON]

Random factors, every customer has 60 items that may not appear. All of them use one thread. `implicit` runs in an
interpreter of its own, given by --implicit, where it is installed; its time is the one it measures itself.
"""

import argparse
import json
import resource
import subprocess
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from alsriaz.scoring.best import Wanted, best_of_each
from alsriaz.scoring.factors import DotTerm, RankedFactors
from alsriaz.scoring.scorer import Scorer

K, RANK, BOUGHT, BLOCK = 10, 64, 60, 1024
Array = npt.NDArray[Any]

SIZES = [(4_339, 3_665), (20_000, 30_000), (200, 1_000_000)]


def ours(customers: Array, items: Array, bought: Array) -> None:
    factors = RankedFactors(items)
    step = max(1, min(BLOCK, (1 << 24) // len(items)))
    for start in range(0, len(customers), step):
        block, barred = customers[start : start + step], bought[start : start + step]
        scorer = Scorer([DotTerm(factors, block)], len(block), len(items))
        best_of_each(scorer, [Wanted(K, barred=(positions,)) for positions in barred])


def numpy_alone(customers: Array, items: Array, bought: Array) -> None:
    """A block of scores, argpartition, then a sort of what is left: what most people write."""
    step = max(1, min(BLOCK, (1 << 24) // len(items)))
    for start in range(0, len(customers), step):
        scores = customers[start : start + step] @ items.T
        np.put_along_axis(scores, bought[start : start + step], -np.inf, axis=1)
        top = np.argpartition(scores, -K, axis=1)[:, -K:]
        order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1)
        np.take_along_axis(top, order, axis=1)


PEER = """
import json, sys, time
import numpy as np, scipy.sparse
from implicit.cpu.als import AlternatingLeastSquares
n_customers, n_items = map(int, sys.argv[1:3])
rng = np.random.default_rng(1)
customers = rng.standard_normal((n_customers, 64), dtype=np.float32)
items = rng.standard_normal((n_items, 64), dtype=np.float32)
bought = rng.integers(0, n_items, (n_customers, 60))
rows = np.repeat(np.arange(n_customers), 60)
likes = scipy.sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, bought.ravel())), (n_customers, n_items))
model = AlternatingLeastSquares(factors=64, num_threads=1)
model.user_factors, model.item_factors = customers, items
times = []
for _ in range(3):
    began = time.perf_counter()
    for start in range(0, n_customers, 1024):
        block = np.arange(start, min(start + 1024, n_customers))
        model.recommend(block, likes[block], N=10, filter_already_liked_items=True)
    times.append(time.perf_counter() - began)
print(json.dumps(sorted(times)[1]))
"""


def timed(work: Callable[[], object]) -> float:
    """Return the median of three runs in seconds."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return sorted(times)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--implicit", metavar="PYTHON", help="an interpreter that has implicit installed")
    options = parser.parse_args()
    print(f"{'customers x items':>20}  {'ours s':>8}  {'numpy s':>8}  {'ratio':>6}  {'implicit s':>10}  {'ratio':>6}")
    for n_customers, n_items in SIZES:
        rng = np.random.default_rng(1)
        customers = rng.standard_normal((n_customers, RANK), dtype=np.float32)
        items = rng.standard_normal((n_items, RANK), dtype=np.float32)
        bought = rng.integers(0, n_items, (n_customers, BOUGHT))
        mine = timed(lambda a=customers, b=items, c=bought: ours(a, b, c))  # type: ignore[misc]
        naive = timed(lambda a=customers, b=items, c=bought: numpy_alone(a, b, c))  # type: ignore[misc]
        line = f"{n_customers:>9,} x {n_items:>8,}  {mine:8.3f}  {naive:8.3f}  {naive / mine:6.2f}"
        if options.implicit:
            command = [options.implicit, "-c", PEER, str(n_customers), str(n_items)]
            peer = float(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
            line += f"  {peer:10.3f}  {peer / mine:6.2f}"
        print(line, flush=True)
    single()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak:.0f} MB")


def single() -> None:
    """One question at a time, a million items."""
    rng = np.random.default_rng(1)
    items = rng.standard_normal((1_000_000, RANK), dtype=np.float32)
    customer = rng.standard_normal((1, RANK), dtype=np.float32)
    factors = RankedFactors(items)
    scorer = Scorer([DotTerm(factors, customer)], 1, len(items))
    mine = timed(lambda: [best_of_each(scorer, [Wanted(K)]) for _ in range(10)]) / 10

    def naive() -> None:
        scores = items @ customer[0]
        top = np.argpartition(scores, -K)[-K:]
        top[np.argsort(-scores[top])]

    def ten_naive() -> None:
        for _ in range(10):
            naive()

    other = timed(ten_naive) / 10
    figures = f"ours {mine * 1000:.1f} ms, numpy {other * 1000:.1f} ms, ratio {other / mine:.2f}"
    print(f"one customer, 1,000,000 items: {figures}")


if __name__ == "__main__":
    main()
