import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from alsriaz.predictor import create_app
from alsriaz.questions.recommender import Limits, Recommender
from alsriaz.serving.settings import read_settings
from alsriaz.serving.watch import Exchange, access_line, escaped
from tests.small_models import shop

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
Logged = Callable[..., str]


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return create_app(Recommender(shop().in_memory(), Limits()), read_settings({})).test_client()


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
