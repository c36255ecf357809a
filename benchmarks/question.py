"""What one plain question costs in the process that answers it, and 1,000 of them in one request.

    OPENBLAS_NUM_THREADS=1 PYTHONPATH=container:. python benchmarks/question.py [--items 3665] [--rounds 9]

Task `recommend`, k 10, no rules; 5,000 customers x 3,665 items (Online Retail has 4,339 x 3,665) x 64 random factors,
in memory. Neither HTTP nor another process is in it: from the bytes of a body to the bytes of its answer, and of that
the part from the record to its answer. Each question is about another customer. The kinds take turns, round by round;
prints the median over the rounds, and the least. Time is the process's own CPU time: one thread does it all, so on an
idle machine a clock shows the same, and on a busy one it is disturbed less.
"""

import argparse
import io
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.serving.settings import JSON
from alsriaz.serving.wire import decode, encode
from benchmarks.many_rules import CUSTOMERS, random_model

K, TOGETHER = 10, 1_000
ROUNDS_TO_WARM_UP = 1


class Answering(NamedTuple):
    """What is measured.

    Attributes:
        body: turns the bytes of a body into those of its answer.
        record: turns a record, as json.loads gives it, into its answer.
    """

    body: Callable[[bytes], bytes]
    record: Callable[[Mapping[str, Any]], Mapping[str, Any]]


def answering(n_items: int) -> Answering:
    """Return what answers questions about a random model; all that is known of the package's inside stands here."""
    recommender = Recommender(Shop(random_model(np.random.default_rng(7), n_items)))

    def answer(body: bytes) -> bytes:
        asked = decode(io.BytesIO(body), JSON)
        return b"".join(encode(recommender.answers(asked.records), asked, JSON))

    return Answering(answer, recommender.answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=3_665)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        parser.error("set OPENBLAS_NUM_THREADS=1, as serve does for its workers")
    ours = answering(options.items)
    records = [{"customer": f"c{number * 7 % CUSTOMERS:06}", "k": K} for number in range(TOGETHER)]
    bodies = [json.dumps(record).encode() for record in records]
    together = json.dumps({"instances": records}).encode()
    check(ours, records, bodies, together)
    kinds: dict[str, Callable[[], object]] = {
        "one question, from body to answer": lambda: [ours.body(body) for body in bodies],
        "of it from the record to its answer": lambda: [ours.record(record) for record in records],
        f"{TOGETHER:,} in one request, each": lambda: ours.body(together),
    }
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(ROUNDS_TO_WARM_UP + options.rounds):
        for name, work in kinds.items():
            began = time.process_time()
            work()
            if number >= ROUNDS_TO_WARM_UP:
                taken[name].append((time.process_time() - began) / TOGETHER * 1e6)
    print(f"{CUSTOMERS:,} customers x {options.items:,} items x 64, k {K}, {options.rounds} rounds")
    for name, times in taken.items():
        print(f"{name:36} {statistics.median(times):7.1f} us   least {min(times):7.1f} us")


def check(ours: Answering, records: list[dict[str, Any]], bodies: list[bytes], together: bytes) -> None:
    """See to it that all kinds give the same answers, and each a whole list: else the figures mean nothing."""
    answers = [json.loads(ours.body(body)) for body in bodies]
    assert all(len(answer["recommendations"]) == K for answer in answers)  # noqa: S101
    assert answers == [ours.record(record) for record in records]  # noqa: S101
    assert answers == json.loads(ours.body(together))["predictions"]  # noqa: S101


if __name__ == "__main__":
    main()
