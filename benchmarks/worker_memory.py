"""How much memory serve's workers take together, and how soon /ping answers, with a model of a million items.

    PYTHONPATH=container:. python benchmarks/worker_memory.py --items 1000000 --workers 4

Memory is the sum of PSS over gunicorn's processes after every worker has answered: a page that n processes share counts
1/n in each, so that one mapped copy of the factors counts once. Mapped pages of files are in it.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from alsriaz.model.arrays import ModelArrays, transposed
from alsriaz.model.ids import pack_ids
from alsriaz.model.writer import writing_model
from alsriaz.platform.spec import parse_spec
from alsriaz.scoring.foldin import gram
from tests.serving.serving_process import Server, descendants, running_server

CUSTOMERS = 1000
PURCHASES = 10  # of each customer
RANK = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        write_model(Path(root, "model"), options.items)
        began = time.monotonic()
        with running_server({"ALSRIAZ_ML_ROOT": root, "ALSRIAZ_WORKERS": str(options.workers)}) as server:
            ready = time.monotonic() - began
            ask_every_worker(server, options.workers)
            report(server, options.items * RANK * 4 / 2**20, options.workers, ready)


def write_model(folder: Path, n_items: int, rules: Mapping[str, Any] | None = None) -> None:
    """Write a model of random factors, with these standing rules."""
    random = np.random.default_rng(42)
    factors = random.standard_normal((CUSTOMERS + n_items, RANK), dtype=np.float32)
    customer_text, customer_offsets = pack_ids([f"c{number:07}" for number in range(CUSTOMERS)])
    item_text, item_offsets = pack_ids([f"i{number:07}" for number in range(n_items)])
    bought = np.concatenate([np.sort(random.choice(n_items, PURCHASES, replace=False)) for _ in range(CUSTOMERS)])
    n_buyers = np.bincount(bought, minlength=n_items)
    offsets, bought = np.arange(CUSTOMERS + 1, dtype="<i8") * PURCHASES, bought.astype("<i4")
    buyer_offsets, buyers = transposed(offsets, bought, n_items)
    arrays = ModelArrays(
        customer_factors=factors[:CUSTOMERS],
        item_factors=factors[CUSTOMERS:],
        item_gram=gram(factors[CUSTOMERS:]),
        customer_id_text=customer_text,
        customer_id_offsets=customer_offsets,
        item_id_text=item_text,
        item_id_offsets=item_offsets,
        purchase_offsets=offsets,
        purchase_items=bought,
        buyer_offsets=buyer_offsets,
        buyers=buyers,
        purchase_counts=np.ones(len(bought), dtype="<i4"),
        purchase_quantities=np.ones(len(bought)),
        purchase_decayed=np.ones(len(bought)),
        item_customers=n_buyers.astype("<i4"),
        items_by_popularity=np.argsort(-n_buyers, kind="stable").astype("<i4"),
        item_first_days=np.full(n_items, 15_000, dtype="<i4"),
    )
    counts = {"customers": CUSTOMERS, "items": n_items}
    dates = {"first_day": "2010-01-01", "last_day": "2011-12-09"}
    with writing_model(folder) as writer:
        writer.write(arrays, rules or {})
        writer.finish({"made_by": "a benchmark", "spec": parse_spec({}).as_json(), "counts": counts, "dates": dates})


def ask_every_worker(server: Server, workers: int) -> None:
    """Ask often enough, and enough at a time, that each worker answers several times."""

    def ask(number: int) -> int:
        body = json.dumps({"customer": f"c{number % CUSTOMERS:07}", "k": 10})
        return server.request("POST", "/invocations", body, {"Content-Type": "application/json"}).status

    with ThreadPoolExecutor(4 * workers) as pool:
        assert set(pool.map(ask, range(25 * workers))) == {200}, server.log()  # noqa: S101 - or the figures mean nothing


def report(server: Server, factors_mb: float, workers: int, ready: float) -> None:
    python = gunicorn_processes(server)
    total = memory_of(server) / 2**20
    bound = 1.3 * factors_mb + 60 * workers
    print(f"/ping answered {ready:.1f} s after the start")
    print(
        f"factors {factors_mb:.0f} MB; PSS of gunicorn's {len(python)} processes {total:.0f} MB, at most {bound:.0f} MB"
    )


def gunicorn_processes(server: Server) -> list[int]:
    """Return the pids of gunicorn's master and workers."""
    return [pid for pid, name in descendants(server.process.pid).items() if not name.startswith("nginx")]


def memory_of(server: Server) -> int:
    """Return the sum of PSS over gunicorn's processes, in bytes."""
    return sum(pss(pid) for pid in gunicorn_processes(server))


def pss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
