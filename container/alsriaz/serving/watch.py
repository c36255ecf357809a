"""Watches each request and its answer at the level of WSGI, and gives answers what all of them have.

What it sees goes into the access log and the metrics. Knows no framework.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from alsriaz.serving.access_log import log_exchange
from alsriaz.serving.exchange import QUIET, Exchange
from alsriaz.serving.metrics import Metrics

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
RouteOf = Callable[[str], str | None]

_KEY = "alsriaz.exchange"
_CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_ATTRIBUTES = re.compile(r"[\x20-\x7e]{1,1024}")  # what the platform lets through; nginx.conf has the same


def exchange_of(environ: Environ) -> Exchange:
    """Return the exchange of a request that is watched."""
    exchange: Exchange = environ[_KEY]
    return exchange


def watched(application: Application, route_of: RouteOf, metrics: Metrics) -> Application:
    """Return `application`, watched.

    Args:
        application: finds its exchange by `exchange_of`, and fills in what it knows of it.
        route_of: gives the pattern of a path, None for one that is not there.
        metrics: count what is not asked by probes.
    """

    def watching(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        inference_id = environ.get("HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID")
        exchange = Exchange(environ["REQUEST_METHOD"], route_of(path), path, inference_id)
        environ[_KEY] = exchange
        attributes = environ.get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES", "")

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            exchange.status = int(status[:3])
            if _ATTRIBUTES.fullmatch(attributes):
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
            if self._exchange.route not in QUIET:
                self._metrics.ended(self._exchange)
            log_exchange(self._exchange)
