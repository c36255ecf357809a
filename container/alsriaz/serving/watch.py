"""Watches each request and its answer at the level of WSGI: for the access log, the metrics, and what all answers have.

The access log is a line a request, ``key=value``, without a word that tells of a customer or of what was asked; its
keys stand in docs/http-api.md. Knows no framework.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from alsriaz.questions.tally import Tally
from alsriaz.serving.log import write_line
from alsriaz.serving.metrics import Metrics

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
RouteOf = Callable[[str], str | None]

QUIET = ("/ping", "/metrics")
"""Routes that are asked by probes all the time: logged at level debug only, and not counted."""

_LOG = logging.getLogger("alsriaz.access")
_KEY = "alsriaz.exchange"
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
_LONGEST_ID = 64  # the platform's own limit on an inference id
_LONGEST_PATH = 200
_CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_ATTRIBUTES = re.compile(r"[\x20-\x7e]{1,1024}")  # what the platform lets through; nginx.conf has the same


@dataclass(slots=True)
class Exchange:
    """What is known of one request; filled in while it is answered.

    Attributes:
        route: the pattern of the path, such as ``/invocations``, never the path itself, which a client can write
            anything into; None where there is no such path.
        path: the path itself, for level debug alone.
        inference_id: the platform's X-Amzn-SageMaker-Inference-Id as the client sent it, or None.
        began: when, by time.perf_counter.
        size: how many bytes of the answer's body were handed to the server.
        whole: False where the answer was cut: its client went away, or we failed.
        error: the code of the error that was the answer, or None.
        model: the short hash of the model that answered, or None.
    """

    method: str
    route: str | None
    path: str
    inference_id: str | None
    began: float = field(default_factory=time.perf_counter)
    status: int = 0
    size: int = 0
    whole: bool = False
    error: str | None = None
    model: str | None = None
    tally: Tally = field(default_factory=Tally)


def exchange_of(environ: Environ) -> Exchange:
    """Return the exchange of a request that is watched."""
    exchange: Exchange = environ[_KEY]
    return exchange


def watched(application: Application, route_of: RouteOf, metrics: Metrics) -> Application:
    """Return `application`, watched: it finds its exchange by `exchange_of`, and fills in what it knows of it.

    `route_of` gives the pattern of a path, None for one that is not there.
    """

    def watching(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        inference_id = environ.get("HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID")
        environ[_KEY] = exchange = Exchange(environ["REQUEST_METHOD"], route_of(path), path, inference_id)
        attributes = environ.get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES")

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            exchange.status = int(status[:3])
            if attributes and _ATTRIBUTES.fullmatch(attributes):
                headers = [*headers, (_CUSTOM_ATTRIBUTES, attributes)]
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        if exchange.route not in QUIET:
            metrics.began()
        return _Watched(application(environ, start), exchange, metrics)

    return watching


class _Watched:
    """The pieces of an answer, counted; over when the server closes it, as it always does."""

    def __init__(self, pieces: Iterable[bytes], exchange: Exchange, metrics: Metrics) -> None:
        self._pieces = pieces
        self._exchange = exchange
        self._metrics = metrics

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._exchange.size += len(piece)
            yield piece
        self._exchange.whole = True  # not reached where the client went away, or we failed

    def close(self) -> None:
        try:
            close = getattr(self._pieces, "close", None)
            if close:
                close()
        finally:
            _end(self._exchange, self._metrics)


def _end(exchange: Exchange, metrics: Metrics) -> None:
    """Count and log an exchange that is over."""
    seconds = time.perf_counter() - exchange.began
    level = logging.DEBUG
    if exchange.route not in QUIET:
        metrics.ended(exchange.tally, exchange.status, seconds)
        level = logging.INFO
    if _LOG.isEnabledFor(level):
        write_line(_LOG, level, access_line(exchange, seconds, detailed=_LOG.isEnabledFor(logging.DEBUG)))


def access_line(exchange: Exchange, seconds: float, *, detailed: bool = False) -> str:
    """Return an exchange that is over as ``key=value`` pairs, in a fixed order; what doesn't apply is left out.

    Where `detailed`, the path stands there as the client wrote it, escaped.
    """
    tally = exchange.tally
    method = exchange.method if exchange.method in _METHODS else "other"
    line = f"method={method} path={exchange.route or 'other'} status={exchange.status}"
    if exchange.error:
        line += f" error={exchange.error}"
    if not exchange.whole:
        line += " cut=yes"
    if tally.records:
        tasks = ",".join([f"{task}:{count}" for task, count in sorted(tally.records.items())])
        line += f" tasks={tasks} records={sum(tally.records.values())} failed={sum(tally.failed.values())}"
    if tally.candidates is not None:
        line += f" candidates={tally.candidates}"
    line += f" ms={seconds * 1000:.1f} bytes={exchange.size}"
    if exchange.inference_id:
        line += f" inference_id={escaped(exchange.inference_id, _LONGEST_ID)}"
    if exchange.model:
        line += f" model={exchange.model}"
    if tally.rules:
        line += f" rules={tally.rules}"
    if detailed:
        line += f" raw_path={escaped(exchange.path, _LONGEST_PATH)}"
    return line


def escaped(text: str, most: int) -> str:
    """Return the first `most` characters of what a client wrote, without a blank or a line's end, as in a URL."""
    return quote(text[:most], safe="/:@+,;=!$&'()*?#", errors="backslashreplace")
