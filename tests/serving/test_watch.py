"""What is seen of a request at the level of WSGI, and its line in the access log."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from alsriaz.predictor import create_app
from alsriaz.questions.question import Limits
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.questions.tally import OTHER, SEVERAL, Tally
from alsriaz.serving.metrics import Metrics
from alsriaz.serving.settings import read_settings
from alsriaz.serving.watch import Application, Exchange, access_line, escaped, exchange_of, watched
from tests.serving.test_metrics import counts_in
from tests.small_models import shop

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
Logged = Callable[..., str]


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return create_app(Recommender(Shop(shop().in_memory(), Limits())), read_settings({})).test_client()


def access_lines(written: str) -> list[str]:
    """Return what stands in the lines of the access log, each of which has its time, its level and its logger."""
    form = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?:INFO|DEBUG) alsriaz\.access: (.*)\n")
    lines = [form.fullmatch(line) for line in written.splitlines(keepends=True) if " alsriaz.access: " in line]
    assert all(lines)
    return [line[1] for line in lines if line]


@pytest.fixture
def logged(client: FlaskClient, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Logged:
    """Ask, and return the line without its time, its bytes and the model's hash; empty where there is none."""

    def ask(method: str, path: str, level: int = logging.INFO, **sent: Any) -> str:
        capfd.readouterr()
        with caplog.at_level(level, logger="alsriaz.access"):
            response = client.open(path, method=method, buffered=True, **sent)
        lines = access_lines(capfd.readouterr().err)
        assert len(lines) <= 1
        assert all(f" bytes={len(response.data)}" in line for line in lines)
        return re.sub(r" ms=\d+\.\d| bytes=\d+| model=[0-9a-f]{12}", "", "".join(lines))

    return ask


LOGGED: list[tuple[str, str, dict[str, Any], str, str]] = [
    # method, path, what is sent, the line, why
    (
        "POST",
        "/invocations",
        {"json": {"customer": "ann", "k": 1, "exclude": {"purchased": True}}},
        "method=POST path=/invocations status=200 tasks=recommend:1 records=1 failed=0 candidates=4",
        "one question",
    ),
    (
        "POST",
        "/invocations",
        {"data": '{"customer":"ann","k":1}\n{"task":"popular","k":1,"include":{"only":["figs"]}}\n7\n{"task":"x"}'},
        "method=POST path=/invocations status=200 tasks=other:2,popular:1,recommend:1 records=4 failed=2 candidates=1",
        "a batch: by task, and the least number of candidates",
    ),
    (
        "POST",
        "/invocations",
        {"json": {"customer": "ann", "k": 0}},
        "method=POST path=/invocations status=400 error=bad_value tasks=recommend:1 records=1 failed=1",
        "a question that can't be answered",
    ),
    (
        "POST",
        "/invocations",
        {"data": "{"},
        "method=POST path=/invocations status=400 error=bad_json",
        "a body that can't be read",
    ),
    (
        "GET",
        "/invocations?customer=ann",
        {},
        "method=GET path=/invocations status=405 error=method_not_allowed",
        "no query strings",
    ),
    (
        "GET",
        "/invocations/ann",
        {},
        "method=GET path=other status=404 error=not_found",
        "no paths that a client made up",
    ),
    ("BREW\n", "/", {}, "method=other path=other status=404 error=not_found", "nor methods"),
    ("GET", "/execution-parameters", {}, "method=GET path=/execution-parameters status=200", "a route of ours"),
    ("GET", "/ping", {}, "", "no probes"),
    ("DELETE", "/ping", {}, "", "however they ask"),
    ("GET", "/metrics", {}, "", "no scrapes"),
]


@pytest.mark.parametrize(("method", "path", "sent", "line", "why"), LOGGED, ids=[why for *_, why in LOGGED])
def test_a_request_is_a_line(logged: Logged, method: str, path: str, sent: dict[str, Any], line: str, why: str) -> None:
    if "data" in sent and "\n" in sent["data"]:
        sent = sent | {"content_type": LINES}
    assert logged(method, path, **sent) == line


def test_time_and_model_are_told() -> None:
    exchange = Exchange("POST", "/invocations", "/invocations", None, model="0123456789ab", status=200, whole=True)
    assert re.fullmatch(
        r"method=POST path=/invocations status=200 ms=\d+\.\d bytes=0 model=0123456789ab", access_line(exchange, 0.0023)
    )


def test_probes_and_paths_are_told_at_level_debug(logged: Logged) -> None:
    assert logged("GET", "/ping", logging.DEBUG) == "method=GET path=/ping status=200 raw_path=/ping"
    assert logged("GET", "/a b%0Ac", logging.DEBUG).endswith(" raw_path=/a%20b%0Ac")


IDS = [
    # the header, what stands in the line, why
    ("order-17.a:b", "order-17.a:b", "as it is"),
    ("a b=c\t\x00", "a%20b=c%09%00", "no blanks: they would end the value"),
    ("a\r\nINFO forged: line", "a%0D%0AINFO%20forged:%20line", "no line ends: they would forge a line"),
    ('é"', "%C3%A9%22", "nothing but ASCII"),
    ("x" * 65, "x" * 64, "no more than the platform lets through"),
    ("", None, "an empty one is none"),
]


@pytest.mark.parametrize(("header", "expected", "why"), IDS, ids=[why for *_, why in IDS])
def test_inference_id(header: str, expected: str | None, why: str) -> None:
    line = access_line(Exchange("GET", None, "/", header, whole=True), 0.0)
    assert re.findall(r" inference_id=(\S*)", line) == ([] if expected is None else [expected])
    assert line.isascii()
    assert line.isprintable()


def test_inference_id_comes_from_its_header(logged: Logged) -> None:
    line = logged("POST", "/invocations", json={}, headers={"X-Amzn-SageMaker-Inference-Id": "i-7"})
    assert line.endswith(" inference_id=i-7")


@pytest.mark.parametrize("text", ["\ud800", "\udcff", "ÿ" * 70, "%0A"])
def test_anything_can_be_escaped(text: str) -> None:
    assert escaped(text, 64).isascii()


def test_an_answer_that_is_cut_says_so(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = "\n".join(['{"customer": "ann", "k": 5}'] * 6_000)
    with caplog.at_level(logging.INFO, logger="alsriaz.access"):
        response = client.post("/invocations", data=lines, content_type=LINES)
        next(response.response)  # type: ignore[call-overload]
        response.close()
        client.post("/invocations", data=lines, content_type=LINES, buffered=True)
    cut, whole = access_lines(capfd.readouterr().err)
    assert " status=200 cut=yes tasks=recommend:" in cut
    assert "records=6000" not in cut
    assert " cut=" not in whole
    assert " tasks=recommend:6000 records=6000 " in whole


# Applications of a few lines.

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


def pieces(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    start_response("200 OK", [("A", "b")])
    yield b"one"
    exchange_of(environ).tally.add("recommend", failed=False)
    yield b"three"


def failing(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b"one"
    raise ZeroDivisionError


def whole(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("201 CREATED", [])
    return [b"12345"]


def ask(application: Application, metrics: Metrics, **environ: str) -> tuple[Iterable[bytes], list[Any]]:
    """Return the answer's body, not read yet, and where status and headers will be."""
    started: list[Any] = []
    asked = {"REQUEST_METHOD": "POST", "PATH_INFO": "/a", **environ}
    body = watched(application, {"/a": "/a", "/ping": "/ping"}.get, metrics)(asked, lambda *args: started.extend(args))
    return body, started


ENDS: list[tuple[Application, int, str, str]] = [
    # application, pieces that the server takes, the line up to its time, why
    (pieces, 9, "method=POST path=/a status=200 tasks=recommend:1 records=1 failed=0 ms= bytes=8", "to its end"),
    (pieces, 1, "method=POST path=/a status=200 cut=yes ms= bytes=3", "the client went away"),
    (failing, 9, "method=POST path=/a status=200 cut=yes ms= bytes=3", "we failed"),
    (whole, 9, "method=POST path=/a status=201 ms= bytes=5", "in one piece"),
]


@pytest.mark.parametrize(("application", "taken", "line", "why"), ENDS, ids=[why for *_, why in ENDS])
def test_however_an_answer_ends_it_is_logged_and_counted_once(
    application: Application,
    taken: int,
    line: str,
    why: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    metrics = Metrics()
    body, _ = ask(application, metrics)
    assert counts_in(metrics.text().decode())["alsriaz_requests_in_progress"] == 1
    with caplog.at_level(logging.INFO, logger="alsriaz.access"):
        try:
            for _ in zip(range(taken), body, strict=False):
                pass
        except ZeroDivisionError:
            assert application is failing
        finally:
            body.close()  # type: ignore[attr-defined]
    (message,) = access_lines(capfd.readouterr().err)
    before, _, after = message.partition(" ms=")
    assert f"{before} ms= {after.split(' ', 1)[1]}" == line
    counts = counts_in(metrics.text().decode())
    assert counts["alsriaz_requests_in_progress"] == 0
    assert sum(value for name, value in counts.items() if name.startswith("alsriaz_requests_total")) == 1


def test_probes_are_watched_and_not_counted() -> None:
    metrics = Metrics()
    body, started = ask(whole, metrics, PATH_INFO="/ping", HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES="a=1")
    assert list(body) == [b"12345"]
    body.close()  # type: ignore[attr-defined]
    assert started == ["201 CREATED", [(ATTRIBUTES, "a=1")]]
    assert not [name for name in counts_in(metrics.text().decode()) if name.startswith("alsriaz_requests_total")]


TALLIES = [
    ([], OTHER, None, "no record could be read"),
    (["popular", "popular"], "popular", None, "one task"),
    (["popular", "recommend"], SEVERAL, None, "two tasks"),
]


@pytest.mark.parametrize(("tasks", "task", "candidates", "why"), TALLIES, ids=[why for *_, why in TALLIES])
def test_tally(tasks: list[str], task: str, candidates: int | None, why: str) -> None:
    tally = Tally()
    for name in tasks:
        tally.add(name, failed=False)
    assert (tally.task, tally.candidates, tally.failed) == (task, candidates, {})


def test_the_least_candidates_count() -> None:
    tally = Tally()
    for count in (5, 0, 7):
        tally.add_candidates(count)
    assert tally.candidates == 0
