"""What multi-model mode does with processes: memory comes back, workers die, requests outlast a model."""

import contextlib
import fcntl
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.worker_memory import gunicorn_processes, write_model
from tests.serving.multi_model_platform import MULTI_MODEL, Platform, path_of, write_shop
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


@pytest.fixture
def server(root: Path) -> Iterator[Server]:
    with running_server(MULTI_MODEL | {"ALSRIAZ_ML_ROOT": str(root)}) as server:
        yield server


@pytest.fixture
def aws(server: Server, root: Path) -> Platform:
    return Platform(server, str(root))


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


def test_workers_that_die_at_any_time_leave_no_name_or_memory_taken(aws: Platform, server: Server) -> None:
    stop = threading.Event()

    def kill() -> None:
        while not stop.wait(0.3):
            if pids := workers(server):
                os.kill(pids[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for _ in range(30):
            assert aws.load("shop", "m0").status in (200, 409, 502)
            assert aws.unload("shop").status in (200, 404, 502)
    finally:
        stop.set()
        killer.join()
    until(lambda: len(workers(server)) == 2 and aws.unload("shop").status == 404, server.log)
    assert aws.load("shop", "m1").status == 200
    assert aws.invoke("shop", ANN).status == 200
    assert aws.unload("shop").status == 200


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


def test_unloading_waits_no_longer_than_it_may_and_says_so(root: Path) -> None:
    environ = MULTI_MODEL | {"ALSRIAZ_ML_ROOT": str(root), "ALSRIAZ_TIMEOUT_SECONDS": "4"}
    with running_server(environ) as server:
        aws = Platform(server, str(root))
        aws.load("shop", "m0")
        body = "\n".join([json.dumps({"customer": "ann"})] * 400_000).encode()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(
                server.request, "POST", f"{path_of('shop')}/invoke", body, {"Content-Type": "application/jsonlines"}
            )
            until(lambda: any(maps(pid, root / "models" / "m0") for pid in workers(server)), server.log)
            assert aws.unload("shop").status == 200
            assert aws.get("shop").status == 404
            del running
        assert "a request still uses model 'shop': its memory is free when that ends" in server.log()
        until(lambda: not any(maps(pid, root / "models" / "m0") for pid in workers(server)), server.log)


def test_a_load_may_take_longer_than_other_requests_which_go_on_meanwhile(root: Path, tmp_path: Path) -> None:
    environ = MULTI_MODEL | {"ALSRIAZ_ML_ROOT": str(root), "ALSRIAZ_TIMEOUT_SECONDS": "1", "TMPDIR": str(tmp_path)}
    with running_server(environ) as server, ThreadPoolExecutor(1) as pool:
        aws = Platform(server, str(root))
        aws.load("shop", "m0")
        (lock,) = tmp_path.glob("*/m/models.lock")
        with lock.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # as a slow disk would, this keeps the load from going on
            loading = pool.submit(aws.load, "slow", "m1")
            began = time.monotonic()
            while time.monotonic() < began + 5:  # by then nginx and the watch have long ended any other request
                assert aws.invoke("shop", ANN).status == 200
                assert aws.names() == ["shop"]
                assert server.answers_ping()
            assert not loading.done()
        assert loading.result().status == 200
        assert aws.names() == ["shop", "slow"]


def test_a_model_whose_folder_has_changed_is_not_served(tmp_path: Path) -> None:
    environ = MULTI_MODEL | {"ALSRIAZ_ML_ROOT": str(tmp_path)}
    write_shop(tmp_path / "models" / "m0", 0)
    with running_server(environ | {"ALSRIAZ_WORKERS": "1"}) as server:
        aws = Platform(server, str(tmp_path))
        aws.load("shop", "m0")
        for path in (tmp_path / "models" / "m0").iterdir():
            path.unlink()
        write_shop(tmp_path / "models" / "m0", 1)
        answer = aws.invoke("shop", ANN)
        assert (answer.status, answer.json()["error"]["code"]) == (503, "no_model")
        assert answer.json()["error"]["message"] == (
            "Model 'shop' can no longer be used: Its folder holds another model than when it was loaded. "
            "Unload it, then load it again."
        )
        assert aws.unload("shop").status == 200
        assert aws.load("shop", "m0").status == 200
        assert aws.invoke("shop", ANN).status == 200
