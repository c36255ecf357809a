"""What is seen of a request at the level of WSGI, with applications of a few lines."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from alsriaz.questions.tally import OTHER, SEVERAL, Tally
from alsriaz.serving.metrics import Metrics
from alsriaz.serving.watch import Application, exchange_of, watched
from tests.serving.test_access_log import access_lines
from tests.serving.test_metrics import counts_in

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
