"""What `docker stop` does to containers at work."""

import http.client
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from alsriaz.model.folder import verify_model
from tests.image.docker import Container, started_container
from tests.serving.serving_process import until
from tests.small_models import shop
from tests.train_process import as_csv, groceries, lay_out

pytestmark = [pytest.mark.image, pytest.mark.process]

SERVE_SECONDS, TRAIN_SECONDS = 30, 120  # the platform's limits, after which it kills
KILLED = 137
BATCH = b"\n".join([b'{"customer": "ann", "k": 5}'] * 1_000)
HEADERS = {"Content-Type": "application/jsonlines"}


class Client:
    """Sends batch after batch, each on a connection of its own, and notes how each went."""

    def __init__(self, host: str, stopped: threading.Event) -> None:
        self.host = host
        self.stopped = stopped
        self.answers: list[tuple[float, int, int]] = []  # when it was sent, status, lines
        self.refused: list[float] = []  # when a request was sent that nobody took

    def run(self) -> None:
        while not self.stopped.is_set():
            sent = time.monotonic()
            connection = http.client.HTTPConnection(self.host, 8080, timeout=60)
            try:
                connection.request("POST", "/invocations", BATCH, HEADERS)
                response = connection.getresponse()
                self.answers.append((sent, response.status, response.read().count(b"\n") + 1))
            except (OSError, http.client.HTTPException):
                self.refused.append(sent)
            finally:
                connection.close()


@pytest.fixture
def serving(image: str, tmp_path: Path) -> Iterator[Container]:
    shop().write(tmp_path / "model")
    options = ("--volume", f"{tmp_path}:/opt/ml:ro", "--env", "ALSRIAZ_WORKERS=2")
    with started_container(image, "serve", options=options) as container:
        until(lambda: "serving on port" in container.log(), container.log)
        yield container


def test_a_serving_container_answers_all_that_it_has_accepted(serving: Container) -> None:
    """Clients speak to the container itself: a published port has a proxy in front that accepts for it."""
    host = serving.inspected("{{.NetworkSettings.IPAddress}}")
    stopped = threading.Event()
    clients = [Client(host, stopped) for _ in range(6)]
    with ThreadPoolExecutor(len(clients)) as pool:
        running = [pool.submit(client.run) for client in clients]
        try:
            until(lambda: all(len(client.answers) >= 2 for client in clients), serving.log)
            time.sleep(0.5)
            asked = time.monotonic()
            status = serving.stop(SERVE_SECONDS)
            took = time.monotonic() - asked
        finally:
            stopped.set()
        for each in running:
            each.result()
    assert status == 0, serving.log()
    assert took < SERVE_SECONDS
    answers = [answer for client in clients for answer in client.answers]
    assert {(code, lines) for _, code, lines in answers} == {(200, 1_000)}, "an answer came, but not a whole one"
    assert not [sent for client in clients for sent in client.refused if sent < asked - 0.2], "accepted, then dropped"
    assert "are cut" not in serving.log()


@pytest.mark.spark
def test_a_training_container_stopped_while_spark_fits_says_so(image: str, tmp_path: Path) -> None:
    root = lay_out(tmp_path / "ml", {"sales.csv": as_csv(groceries())}, {"holdout_days": 0, "max_itter": 1000})
    with started_container(image, "train", options=("--volume", f"{root}:/opt/ml")) as container:
        until(lambda: " iteration " in container.log() or container.ended() is not None, container.log)
        assert container.ended() is None, container.log()
        assert container.stop(TRAIN_SECONDS) != KILLED
        check_truthful(root, container)


def check_truthful(root: Path, container: Container) -> None:
    """Either there is a valid model and status 0, or no model at all and a failure that says why."""
    if container.ended() == 0:
        verify_model(root / "model")
        return
    assert container.ended() == 128 + 15
    assert (root / "output" / "failure").read_text().startswith("Training was stopped by SIGTERM before it was done.")
    assert not list((root / "model").glob("*"))


@pytest.mark.parametrize("program", ["train", "serve"])
def test_a_signal_before_python_has_started_is_not_lost(image: str, program: str, tmp_path: Path) -> None:
    """Process 1 has no default action: without care, what comes before there is a handler is dropped."""
    shop().write(tmp_path / "model")
    sales = {"sales.csv": as_csv(groceries())}
    lay_out(tmp_path / "ml", sales)
    root = tmp_path / "ml" if program == "train" else tmp_path
    with started_container(image, program, options=("--volume", f"{root}:/opt/ml")) as container:
        assert container.stop(20) == (143 if program == "train" else 0), container.log()
        if program == "train":
            check_truthful(root, container)
