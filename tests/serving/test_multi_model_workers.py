"""What multi-model mode does with processes: memory comes back, workers die, requests outlast a model."""

import contextlib
import fcntl
import http.client
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.worker_memory import gunicorn_processes, write_model
from tests.serving.multi_model_platform import MULTI_MODEL, Platform, path_of, write_shop, write_slow_archive
from tests.serving.serving_process import PATIENCE, Server, alive, running_server, until

pytestmark = pytest.mark.process

MEGABYTE = 2**20
CUSTOMER = {"customer": "c0000001", "k": 1}
ANN = {"customer": "ann", "k": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ml")
    write_model(root / "models" / "large", 400_000)
    for number in range(3):
        write_shop(root / "models" / f"m{number}", number)
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    with running_server(MULTI_MODEL | {"ALSRIAZ_ML_ROOT": str(root)}) as server:
        yield server


@pytest.fixture
def aws(server: Server, root: Path) -> Platform:
    """The platform, with a server of two workers in which nothing is loaded."""
    return emptied(Platform(server, str(root)), server)


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("t")


@pytest.fixture(scope="module")
def hasty_server(root: Path, temporary: Path) -> Iterator[Server]:
    environ = {"ALSRIAZ_ML_ROOT": str(root), "ALSRIAZ_TIMEOUT_SECONDS": "2", "TMPDIR": str(temporary)}
    with running_server(MULTI_MODEL | environ) as server:
        yield server


@pytest.fixture
def hasty(hasty_server: Server, root: Path) -> Platform:
    """The same, with a server that gives each request 2 seconds."""
    return emptied(Platform(hasty_server, str(root)), hasty_server)


def emptied(aws: Platform, server: Server) -> Platform:
    until(lambda: len(workers(server)) == 2, server.log)
    for name in aws.names():
        aws.unload(name)
    return aws


def workers(server: Server) -> list[int]:
    """Return the pids of gunicorn's workers: all of its processes but the first, which began the others."""
    return sorted(gunicorn_processes(server))[1:]


def resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def maps(pid: int, folder: Path) -> bool:
    return f"{folder}/" in Path(f"/proc/{pid}/maps").read_text()


def ask_every_worker(aws: Platform, name: str, question: object, folder: Path) -> None:
    """Ask until both workers have the model mapped; the second may begin a little after /ping is answered."""

    def all_have_it() -> bool:
        with ThreadPoolExecutor(8) as pool:
            assert {answer.status for answer in pool.map(lambda _: aws.invoke(name, question), range(16))} == {200}
        assert isinstance(aws.server, Server)
        pids = workers(aws.server)
        return len(pids) == 2 and all(maps(pid, folder) for pid in pids)

    until(all_have_it, aws.server.log)


def test_unloading_gives_the_memory_of_every_worker_back(aws: Platform, server: Server, root: Path) -> None:
    folder = root / "models" / "large"
    aws.load("small", "m0")
    ask_every_worker(aws, "small", ANN, root / "models" / "m0")
    before = {pid: resident(pid) for pid in workers(server)}
    assert len(before) == 2
    for slack in (6, 2, 2):  # the first large answer takes buffers that stay; a leak would show in each round
        assert aws.load("large", "large").status == 200
        ask_every_worker(aws, "large", CUSTOMER, folder)
        for pid, size in before.items():
            assert resident(pid) > size + 100 * MEGABYTE
        assert aws.unload("large").status == 200
        for pid, size in before.items():
            assert not maps(pid, folder), "on return, not some time later"
            assert resident(pid) < size + slack * MEGABYTE
        before = {pid: resident(pid) for pid in before}
    assert aws.invoke("small", ANN).status == 200


def test_a_worker_that_takes_a_dead_ones_place_knows_the_models(aws: Platform, server: Server, root: Path) -> None:
    for number in range(3):
        aws.load(f"m{number}", f"m{number}")
    ask_every_worker(aws, "m1", ANN, root / "models" / "m1")
    for killed in workers(server):
        os.kill(killed, signal.SIGKILL)
        until(lambda killed=killed: not alive(killed) and len(workers(server)) == 2, server.log)  # type: ignore[misc]
        ask_every_worker(aws, "m1", ANN, root / "models" / "m1")
    assert aws.names() == ["m0", "m1", "m2"]
    assert aws.unload("m1").status == 200
    assert not any(maps(pid, root / "models" / "m1") for pid in workers(server))


def test_a_request_that_runs_finishes_on_a_model_that_is_being_unloaded(
    aws: Platform, server: Server, root: Path
) -> None:
    aws.load("shop", "m0")
    body = "\n".join([json.dumps({"customer": "ann"})] * 20_000).encode()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as client:
        client.request("POST", f"{path_of('shop')}/invoke", body, {"Content-Type": "application/jsonlines"})
        response = client.getresponse()  # the answer has begun, and waits for us to read on
        with ThreadPoolExecutor(1) as pool:
            unloaded = pool.submit(aws.unload, "shop")
            until(lambda: aws.invoke("shop", ANN).status == 404, server.log)
            answers = response.read().split(b"\n")
            assert unloaded.result().status == 200
    assert response.status == 200
    assert [json.loads(answer)["customer"] for answer in answers] == ["ann"] * 20_000
    assert not any(maps(pid, root / "models" / "m0") for pid in workers(server))


def test_unloading_waits_no_longer_than_it_may_and_says_so(hasty: Platform, hasty_server: Server, root: Path) -> None:
    server, folder = hasty_server, root / "models" / "m0"
    hasty.load("shop", "m0")
    body = "\n".join([json.dumps({"customer": "ann"})] * 400_000).encode()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            server.request, "POST", f"{path_of('shop')}/invoke", body, {"Content-Type": "application/jsonlines"}
        )
        until(lambda: any(maps(pid, folder) for pid in workers(server)), server.log)
        assert hasty.unload("shop").status == 200
        assert hasty.get("shop").status == 404
        del running
    assert "a request still uses model 'shop': its memory is free when that ends" in server.log()
    until(lambda: not any(maps(pid, folder) for pid in workers(server)), server.log)
    until(lambda: models_bytes(hasty) == 0, server.log)


def models_bytes(aws: Platform) -> float:
    text = aws.server.request("GET", "/metrics").body.decode()
    return float(re.findall(r"^alsriaz_models_bytes (.*)$", text, re.MULTILINE)[0])


def test_a_load_may_take_longer_than_other_requests_which_go_on_meanwhile(
    hasty: Platform, hasty_server: Server, temporary: Path
) -> None:
    hasty.load("shop", "m0")
    (lock,) = temporary.glob("*/models/lock")
    with lock.open() as held, ThreadPoolExecutor(1) as pool:
        fcntl.flock(held, fcntl.LOCK_EX)  # as a slow disk would, this keeps the load from going on
        loading = pool.submit(hasty.load, "slow", "m1")
        began = time.monotonic()
        while time.monotonic() < began + 5:  # by then nginx and the watch have long ended any other request
            assert hasty.invoke("shop", ANN).status == 200
            assert hasty.names() == ["shop"]
            assert hasty_server.answers_ping()
            time.sleep(0.05)
        assert not loading.done()
        fcntl.flock(held, fcntl.LOCK_UN)
        assert loading.result().status == 200
    assert hasty.names() == ["shop", "slow"]


def test_a_load_on_demand_may_take_longer_than_the_requests_that_wait_for_it(
    hasty: Platform, hasty_server: Server, root: Path
) -> None:
    write_slow_archive(root / "models" / "m2", root / "models" / "slow.tar.gz", 1536)
    before = workers(hasty_server)
    hasty.load("shop", "m0")
    with ThreadPoolExecutor(3) as pool:
        began = time.monotonic()
        waiting = [pool.submit(hasty.invocations, "slow.tar.gz", ANN) for _ in range(3)]
        statuses = []
        for one in waiting:
            statuses.append(one.result().status)
            assert time.monotonic() < began + 4, "in the time of a request"
        assert set(statuses) <= {503, 504}
        refused = next(one.result().json()["error"] for one in waiting if one.result().status == 503)
        assert refused["code"] == "no_model"
        assert refused["message"] == "Model 'slow.tar.gz' was not loaded in 1.5 seconds: try again."
    assert hasty.invoke("shop", ANN).status == 200, "others go on"
    until(lambda: hasty.invocations("slow.tar.gz", ANN).status == 200, hasty_server.log)
    assert workers(hasty_server) == before, "no worker was lost over it"
    loads = [line for line in hasty_server.log().splitlines() if "loaded model 'slow.tar.gz'" in line]
    assert len(loads) == 1, "and it was loaded once"
    (root / "models" / "slow.tar.gz").unlink()


def test_a_model_whose_folder_has_changed_is_not_served(aws: Platform, root: Path) -> None:
    write_shop(root / "models" / "changes", 0)
    aws.load("shop", "changes")
    for path in (root / "models" / "changes").iterdir():
        path.unlink()
    write_shop(root / "models" / "changes", 1)
    answer = aws.invoke("shop", ANN)
    assert (answer.status, answer.json()["error"]["code"]) == (503, "no_model")
    assert answer.json()["error"]["message"] == (
        "Model 'shop' can no longer be used: Its folder holds another model than when it was loaded. "
        "Unload it, then load it again."
    )
    assert aws.unload("shop").status == 200
    assert aws.load("shop", "changes").status == 200
    assert aws.invoke("shop", ANN).status == 200
