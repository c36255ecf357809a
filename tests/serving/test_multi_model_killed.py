"""Workers killed at random moments, under requests, loads and unloads: nothing they leave may block, leak or count.

KILLS=50 SEED=1 pytest tests/serving/test_multi_model_killed.py
"""

import contextlib
import json
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.worker_memory import gunicorn_processes
from tests.serving.multi_model_platform import MULTI_MODEL, Platform, path_of, write_shop, write_slow_archive
from tests.serving.serving_process import Server, alive, running_server, until

pytestmark = pytest.mark.process

KILLS = int(os.environ.get("KILLS", "7"))
SEED = int(os.environ.get("SEED", "1"))
REQUEST_SECONDS = 8
LATE_SECONDS = REQUEST_SECONDS + 6  # nginx's own timer, and two busy cores
ANN = {"customer": "ann", "k": 1}
FOLDERS = [f"m{number}" for number in range(3)]
ARCHIVES = ["packed 0.tar.gz", "packed 1.tar.gz"]
TARGETS = [*FOLDERS, *ARCHIVES]
EXPLAINED: dict[int, set[str | None]] = {
    200: {None},
    404: {"model_not_loaded"},
    409: {"model_loaded"},
    502: {"no_answer"},
    503: {"no_model"},
    504: {"timeout"},
    507: {"out_of_memory"},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ml")
    for number, name in enumerate(FOLDERS):
        write_shop(root / "models" / name, number)
    for number, name in enumerate(ARCHIVES):
        write_slow_archive(root / "models" / "m0", root / "models" / name, 192 * (number + 1))
    return root


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("t")


@pytest.fixture(scope="module")
def server(root: Path, temporary: Path) -> Iterator[Server]:
    environ = {"ALSRIAZ_ML_ROOT": str(root), "TMPDIR": str(temporary), "ALSRIAZ_MODELS_MEMORY_MB": "1"}
    with running_server(MULTI_MODEL | environ | {"ALSRIAZ_TIMEOUT_SECONDS": str(REQUEST_SECONDS)}) as server:
        yield server


def workers(server: Server) -> list[int]:
    return sorted(gunicorn_processes(server))[1:]


def holders(server: Server, state: str) -> list[int]:
    """Return the workers that hold a model in this state."""
    found = []
    for pid in workers(server):
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if f"/models/{state}-" in os.readlink(descriptor) and pid not in found:
                        found.append(pid)
    return found


class Clients:
    """Requests without end, each of which must be answered in time by what it asks for or by a reason."""

    def __init__(self, aws: Platform, seed: int) -> None:
        self.aws = aws
        self.random = random.Random(seed)
        self.statuses: Counter[int] = Counter()
        self.worst = 0.0
        self.over = threading.Event()

    def ask(self, name: str) -> None:
        aws, number = self.aws, self.random.random()
        began = time.monotonic()
        if number < 0.5:
            answer = aws.invocations(self.random.choice(TARGETS), ANN)
        elif number < 0.7:
            answer = aws.load(name, self.random.choice(FOLDERS))
        elif number < 0.8:
            answer = aws.invoke(name, ANN)
        else:
            answer = aws.unload(self.random.choice([name, *TARGETS]))
        seconds = time.monotonic() - began
        code = answer.json()["error"]["code"] if answer.status != 200 else None
        assert code in EXPLAINED.get(answer.status, set()), (answer.status, answer.body)
        assert seconds < LATE_SECONDS
        self.statuses[answer.status] += 1
        self.worst = max(self.worst, seconds)

    def run(self, name: str) -> None:
        while not self.over.is_set():
            self.ask(name)


@contextlib.contextmanager
def asking(aws: Platform, seed: int) -> Iterator[Clients]:
    clients = Clients(aws, seed)
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(clients.run, f"loaded {number}") for number in range(3)]
        try:
            yield clients
        finally:
            clients.over.set()
        for one in running:
            one.result()


def kill(pids: list[int]) -> int:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in pids))
    return len(pids)


def kill_the_loading_one(aws: Platform, server: Server, chance: random.Random) -> int:
    """Kill the worker that goes through an archive: all archives are unloaded, so that somebody soon does."""
    for name in ARCHIVES:
        aws.unload(name)
    deadline = time.monotonic() + 5
    while not (found := holders(server, "loading")) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(chance.uniform(0, 0.3))
    return kill(found[:1])


def kill_the_unloading_one(aws: Platform, server: Server, chance: random.Random) -> int:
    """Let one worker hold a model and stand still, so that another one unloads it and waits; kill that one."""
    until(lambda: len(workers(server)) == 2, server.log)
    for _ in range(50):
        aws.invocations("m0", ANN)
        if found := holders(server, "loaded"):
            break
    if not found:
        return 0
    stopped = found[0]
    with contextlib.suppress(ProcessLookupError):
        os.kill(stopped, signal.SIGSTOP)
    try:
        others = [pid for pid in workers(server) if pid != stopped]
        with ThreadPoolExecutor(1) as pool:
            pool.submit(aws.unload, "m0")
            time.sleep(chance.uniform(0.05, 0.5))
            count = kill(others)
            os.kill(stopped, signal.SIGCONT)
        return count
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(stopped, signal.SIGCONT)


def kill_all(aws: Platform, server: Server, chance: random.Random) -> int:
    time.sleep(chance.uniform(0, 0.5))
    return kill(workers(server))


def kill_any(aws: Platform, server: Server, chance: random.Random) -> int:
    time.sleep(chance.uniform(0, 0.5))
    return kill([chance.choice(workers(server) or [0])][: len(workers(server))])


Kill = Callable[[Platform, Server, random.Random], int]
KINDS: list[Kill] = [kill_the_loading_one, kill_the_unloading_one, kill_all, kill_any]


def models_told(aws: Platform) -> tuple[float, float]:
    text = aws.server.request("GET", "/metrics").body.decode()
    count, size = (re.findall(rf"^alsriaz_models_{name} (.*)$", text, re.MULTILINE)[0] for name in ("loaded", "bytes"))
    return float(count), float(size)


def left(temporary: Path) -> list[str]:
    """Return what there is of models in the folder where workers meet."""
    (folder,) = temporary.glob("*/models")
    return sorted(path.name.partition("-")[0] for path in folder.iterdir())


def test_killed_workers_leave_nothing_that_blocks_leaks_or_counts(server: Server, root: Path, temporary: Path) -> None:
    aws, chance = Platform(server, str(root)), random.Random(SEED)
    sizes = {}
    for name in TARGETS:
        assert aws.invocations(name, ANN).status == 200
        sizes[name] = models_told(aws)[1]
        assert aws.unload(name).status == 200
    killed = turns = 0
    done: Counter[str] = Counter()
    with asking(aws, SEED) as clients:
        while killed < KILLS:
            kind = KINDS[turns % len(KINDS)] if turns < len(KINDS) else chance.choice(KINDS)
            count = kind(aws, server, chance)
            done[kind.__name__] += count
            killed += count
            turns += 1
            until(lambda: len(workers(server)) == 2, server.log)
    print(json.dumps({"killed": killed, "by": done, "answers": clients.statuses, "worst": round(clients.worst, 1)}))

    for number in range(3):
        aws.unload(f"loaded {number}")
    for name in TARGETS:
        answer = aws.invocations(name, ANN)
        assert answer.status == 200, (name, answer.body)
    until(lambda: set(left(temporary)) == {"loaded", "lock"}, lambda: str(left(temporary)))
    names = aws.names()
    assert len(left(temporary)) == len(names) + 1
    assert models_told(aws) == (len(names), sum(sizes[name] for name in names)), "each is counted once"
    for name in names:
        assert aws.unload(name).status == 200
    assert left(temporary) == ["lock"], "no file is left"
    assert models_told(aws) == (0, 0)
    for pid in workers(server):
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert f"{root}/" not in maps
        assert f"{temporary}/" not in re.sub(r".*/metrics/.*", "", maps)


def test_a_load_whose_worker_is_killed_is_begun_again_by_who_asks_next(server: Server, root: Path) -> None:
    aws = Platform(server, str(root))
    until(lambda: len(workers(server)) == 2, server.log)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(aws.invocations, ARCHIVES[1], ANN)
        until(lambda: bool(holders(server, "loading")), server.log)
        kill(holders(server, "loading"))
        assert asking.result().status == 502
    began = time.monotonic()
    assert aws.invocations(ARCHIVES[1], ANN).status == 200
    assert time.monotonic() < began + LATE_SECONDS
    assert path_of(ARCHIVES[1])
    assert aws.unload(ARCHIVES[1]).status == 200
