"""The counts: of one process, then summed up over real workers, some of which are killed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

import alsriaz
from alsriaz.predictor import create_app
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.serving.metrics import BUCKETS, CONTENT_TYPE
from alsriaz.serving.settings import read_settings
from tests.serving.serving_process import Server, descendants, running_server, until
from tests.small_models import shop

LINES = "application/jsonlines"


def counts_in(text: str) -> dict[str, float]:
    """Return each sample of a /metrics answer as ``name{label=value,...}``, buckets and moments left out."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            if "le" not in sample.labels and not sample.name.endswith("_created"):
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.fixture
def client() -> FlaskClient:
    return create_app(Recommender(Shop(shop().in_memory(), Limits())), read_settings({})).test_client()


def counts(client: FlaskClient) -> dict[str, float]:
    response = client.get("/metrics")
    assert (response.status_code, response.content_type) == (200, CONTENT_TYPE)
    return counts_in(response.text)


COUNTED: list[tuple[str, dict[str, Any], dict[str, float], str]] = [
    # path, what is sent, what is counted by that alone, why
    (
        "/invocations",
        {"json": {"customer": "ann"}},
        {"requests_total{status=200,task=recommend}": 1, "records_total{task=recommend}": 1},
        "one question",
    ),
    (
        "/invocations",
        {"json": {"task": "popular", "k": 0}},
        {
            "requests_total{status=400,task=popular}": 1,
            "records_total{task=popular}": 1,
            "records_failed_total{task=popular}": 1,
        },
        "one that can't be answered",
    ),
    (
        "/invocations",
        {"data": '{"customer":"ann"}\n{"task":"popular"}\n7\n{"task":"17850"}', "content_type": LINES},
        {
            "requests_total{status=200,task=several}": 1,
            "records_total{task=recommend}": 1,
            "records_total{task=popular}": 1,
            "records_total{task=other}": 2,
            "records_failed_total{task=other}": 2,
        },
        "a batch; what a client writes is no label",
    ),
    ("/invocations", {"data": "{"}, {"requests_total{status=400,task=other}": 1}, "a body that can't be read"),
    ("/ann/17850", {}, {"requests_total{status=404,task=other}": 1}, "a path that is not there"),
    ("/ping", {}, {}, "probes are not counted"),
]


@pytest.mark.parametrize(("path", "sent", "expected", "why"), COUNTED, ids=[why for *_, why in COUNTED])
def test_a_request_is_counted(
    client: FlaskClient, path: str, sent: dict[str, Any], expected: dict[str, float], why: str
) -> None:
    before = counts(client)
    client.post(path, buffered=True, **sent)
    after = counts(client)
    changed = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
    seconds = {name for name in changed if name.startswith("alsriaz_request_seconds")}
    assert {name: changed[name] for name in changed.keys() - seconds} == {
        f"alsriaz_{name}": value for name, value in expected.items()
    }
    assert len(seconds) == (2 if expected else 0), "a count and a sum"


def test_the_model_and_the_build_are_told(client: FlaskClient) -> None:
    told = counts(client)
    model = Recommender(Shop(shop().in_memory(), Limits())).model_hash
    assert told[f"alsriaz_model_info{{model={model}}}"] == 1
    assert (told["alsriaz_model_customers"], told["alsriaz_model_items"]) == (3, 6)
    assert [name for name in told if name.startswith("alsriaz_build_info") and f"version={alsriaz.__version__}" in name]
    assert told["alsriaz_records_failed_total{task=recommend}"] == 0, "told before the first one fails"


def test_buckets_go_from_a_quick_answer_to_the_platform_s_limit(client: FlaskClient) -> None:
    client.post("/invocations", json={"customer": "ann"}, buffered=True)
    for family in text_string_to_metric_families(client.get("/metrics").text):
        if family.name == "alsriaz_request_seconds":
            bounds = [float(sample.labels["le"]) for sample in family.samples if "le" in sample.labels]
    assert bounds == [*BUCKETS, float("inf")]
    assert (BUCKETS[0], BUCKETS[-1]) == (0.001, 60)


# Over real workers.


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("ml")
    shop().write(root / "model")
    with running_server({"ALSRIAZ_ML_ROOT": str(root), "ALSRIAZ_WORKERS": "3"}) as server:
        yield server


def scraped(server: Server) -> dict[str, float]:
    answer = server.request("GET", "/metrics")
    assert (answer.status, answer.headers["Content-Type"]) == (200, CONTENT_TYPE)
    return counts_in(answer.body.decode())


def workers(server: Server) -> set[int]:
    """Return the pids of gunicorn's workers: they are in its process group, and not its leader."""
    family = descendants(server.process.pid)
    return {pid for pid in family if os.getpgid(pid) != pid and not family[pid].startswith("nginx")}


@pytest.mark.process
def test_any_worker_tells_the_sums_over_all_of_them(server: Server) -> None:
    before = scraped(server).get("alsriaz_requests_total{status=200,task=recommend}", 0)
    for _ in range(60):
        assert server.request("POST", "/invocations", b'{"customer": "ann"}').status == 200
    until(lambda: scraped(server)["alsriaz_requests_in_progress"] == 0)  # counted once the answer has been sent
    for _ in range(12):
        after = scraped(server)
        assert after["alsriaz_requests_total{status=200,task=recommend}"] == before + 60
        assert after["alsriaz_requests_in_progress"] == 0
        assert after["alsriaz_model_customers"] == 3, "once, however many workers there are"


@pytest.mark.process
def test_counts_of_a_killed_worker_stay_and_what_it_held_is_forgotten(server: Server) -> None:
    assert len(workers(server)) == 3
    assert server.request("POST", "/invocations", b'{"customer": "ann"}').status == 200
    until(lambda: scraped(server)["alsriaz_requests_in_progress"] == 0)
    before = scraped(server)
    killed = workers(server)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(workers(server) - killed) == 3 and server.answers_ping(), server.log)
    until(lambda: scraped(server)["alsriaz_workers_ended_total"] == before["alsriaz_workers_ended_total"] + 3)
    after = scraped(server)
    name = "alsriaz_requests_total{status=200,task=recommend}"
    assert after[name] == before[name]
    assert after["alsriaz_requests_in_progress"] == 0


@pytest.mark.process
def test_no_count_holds_what_a_client_wrote(server: Server) -> None:
    written = "C17850"
    for body in (f'{{"customer": "{written}"}}', f'{{"task": "{written}"}}', f'{{"{written}": 1}}', written):
        headers = {"X-Amzn-SageMaker-Inference-Id": written, "X-Amzn-SageMaker-Custom-Attributes": written}
        server.request("POST", f"/invocations?{written}", body, headers)
        server.request("GET", f"/{written}", None, headers)
    assert written not in server.request("GET", "/metrics").body.decode()


@pytest.mark.process
def test_counts_leave_nothing_behind(short_path: Path) -> None:
    shop().write(short_path / "model")
    (short_path / "tmp").mkdir()
    environ = {"ALSRIAZ_ML_ROOT": str(short_path), "TMPDIR": str(short_path / "tmp"), "ALSRIAZ_WORKERS": "1"}
    with running_server(environ) as server:
        assert list((short_path / "tmp").glob("*/metrics/*.db"))
        assert server.stop() == 0
    assert not list((short_path / "tmp").iterdir())
