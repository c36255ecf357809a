"""Workers that reach each other: real processes, which die when they are told to."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from alsriaz.serving.multi_model.peers import Peer, ask_all, is_alive
from tests.serving.serving_process import PATIENCE, ROOT, until

WORKER = """
import sys, time
from pathlib import Path
from alsriaz.serving.multi_model.peers import Peer
held, seconds = int(sys.argv[2]), float(sys.argv[3])
def drop(within):
    Path(sys.argv[1], "asked").touch()
    time.sleep(seconds)
    return held
print(Peer(Path(sys.argv[1]), drop).name, flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def worker(folder: Path, held: int = 0, seconds: float = 0.0) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    command = [sys.executable, "-c", WORKER, str(folder), str(held), str(seconds)]
    environ = {"PYTHONPATH": str(ROOT / "container")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def test_nobody_to_ask(tmp_path: Path) -> None:
    assert ask_all(tmp_path, PATIENCE) == 0


def test_what_workers_still_hold_is_summed_up(tmp_path: Path) -> None:
    with worker(tmp_path, held=2), worker(tmp_path), worker(tmp_path, held=1):
        assert ask_all(tmp_path, PATIENCE) == 3


def test_a_worker_asks_itself_too(tmp_path: Path) -> None:
    asked: list[float] = []
    Peer(tmp_path, lambda seconds: asked.append(seconds) or 4)  # type: ignore[func-returns-value]
    assert ask_all(tmp_path, PATIENCE) == 4
    assert asked == [PATIENCE]


def test_a_worker_that_died_is_not_waited_for_and_is_forgotten(tmp_path: Path) -> None:
    with worker(tmp_path) as (name, process):
        assert is_alive(tmp_path, name)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not is_alive(tmp_path, name)
        assert ask_all(tmp_path, PATIENCE) == 0
        assert not (tmp_path / name).exists()
        assert not is_alive(tmp_path, name)


def test_a_worker_that_dies_while_it_is_asked_holds_nothing(tmp_path: Path) -> None:
    with worker(tmp_path, held=1, seconds=600) as (_, process):

        def kill() -> None:
            until((tmp_path / "asked").exists)
            process.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        assert ask_all(tmp_path, 600) == 0
        killer.join()


def test_a_worker_that_does_not_answer_in_time_counts_as_holding_one(tmp_path: Path) -> None:
    with worker(tmp_path, held=5, seconds=600):
        assert ask_all(tmp_path, 0.5) == 1


def test_a_worker_that_hangs_is_not_waited_for_beyond_the_time(tmp_path: Path) -> None:
    with worker(tmp_path, held=1) as (name, process):
        process.send_signal(signal.SIGSTOP)
        assert is_alive(tmp_path, name)
        assert ask_all(tmp_path, 0.5) == 1


def test_many_look_at_a_worker_at_once(tmp_path: Path) -> None:
    peer = Peer(tmp_path, lambda seconds: time.sleep(0.01) or 0)  # type: ignore[func-returns-value]
    seen: list[bool] = []
    threads = [threading.Thread(target=lambda: seen.append(is_alive(tmp_path, peer.name))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 50


@pytest.mark.parametrize("name", ["w00000000", ""], ids=["of no worker", "of nobody"])
def test_a_name_that_nobody_has(tmp_path: Path, name: str) -> None:
    assert not is_alive(tmp_path, name)
