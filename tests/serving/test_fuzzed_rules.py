"""No rule makes serve answer 500, hang, or fill its memory: 3,000 requests that nobody would write."""

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from alsriaz.model.writer import writing_model
from alsriaz.platform.days import day_text
from alsriaz.serving.wire import STATUS
from tests.serving.fuzzing import body, customer, large_shop
from tests.serving.serving_process import Server, descendants, running_server, until

pytestmark = pytest.mark.process

REQUESTS = 3_000  # counted, not timed: what is proven does not depend on what else the machine does
AT_ONCE = 4
MORE_MEMORY = 400 * 2**20  # bytes that a worker may take on top: four threads with lists of 100,000 ids each
PLAIN = {"customer": customer(1), "k": 5, "include": {"where": {"price": {"below": 5}}}, "at_most": {"department": 1}}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ml")
    model = large_shop()
    dates = {"first_day": day_text(model.last_day - 99), "last_day": day_text(model.last_day)}
    with writing_model(root / "model") as writer:
        writer.write(model.arrays, {}, model.item_table)
        writer.finish({"made_by": "a test", "spec": model.spec.as_json(), "counts": {}, "dates": dates})
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    # A request that takes longer is answered 504, and its worker replaced: that is what a hang would look like.
    with running_server(
        {"ALSRIAZ_ML_ROOT": str(root), "ALSRIAZ_WORKERS": "2", "ALSRIAZ_TIMEOUT_SECONDS": "60"}
    ) as server:
        until(lambda: len(workers(server)) == 3, server.log)  # the master, and both workers
        yield server


def post(server: Server, data: bytes) -> tuple[int, Any]:
    answer = server.request("POST", "/invocations", data, {"Content-Type": "application/json"}, timeout=90)
    return answer.status, answer.json()


def workers(server: Server) -> dict[int, int]:
    """Return the resident memory of each process of gunicorn in bytes, by its pid."""
    pids = [pid for pid, name in descendants(server.process.pid).items() if not name.startswith("nginx")]
    return {pid: resident(pid) for pid in pids}


def resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def complaint(server: Server, data: bytes) -> str:
    """Return what is wrong with the answer to a body, empty where nothing is."""
    status, answer = post(server, data)
    if status not in (200, 400, 404, 413):
        return f"status {status}: {str(answer)[:300]}"
    for one in answer["predictions"] if "predictions" in answer else [answer]:
        error = one.get("error")
        if error and (STATUS[error["code"]] >= 500 or not error["message"] or len(error["message"]) > 3_000):
            return f"an error that is none: {str(error)[:300]}"
        if not error and "model" not in one:
            return f"neither an answer nor an error: {str(one)[:300]}"
    return ""


def test_thousands_of_requests_of_nonsense(server: Server) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}: tests.serving.fuzzing.body(seed, number) is what was sent")
    plain = json.dumps(PLAIN).encode()
    expected = post(server, plain)
    assert [post(server, plain) for _ in range(8)] == [expected] * 8
    assert expected[0] == 200
    assert len(expected[1]["recommendations"]) == 5
    before = workers(server)

    def nonsense(first: int) -> None:
        for number in range(first, REQUESTS, AT_ONCE):
            data = body(seed, number)
            wrong = complaint(server, data)
            assert not wrong, (
                f"{wrong}\nseed {seed}, number {number}, {len(data)} bytes: {data[:4_000]!r}\n{server.log()[-3000:]}"
            )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(nonsense, range(AT_ONCE)))
    after = workers(server)
    print(f"memory before {sorted(before.values())}, after {sorted(after.values())}")
    assert after.keys() == before.keys(), f"seed {seed}: a worker was replaced\n{server.log()[-3000:]}"
    grown = {pid: after[pid] - before[pid] for pid in after}
    assert max(grown.values()) < MORE_MEMORY, f"seed {seed}: {grown}"
    assert [post(server, plain) for _ in range(8)] == [expected] * 8
