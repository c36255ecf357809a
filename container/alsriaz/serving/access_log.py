"""The access log: a line a request, ``key=value``, without a word that tells of a customer or of what was asked."""

import logging
from urllib.parse import quote

from alsriaz.serving.exchange import QUIET, Exchange

LOG = logging.getLogger("alsriaz.access")

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
_LONGEST_ID = 64  # the platform's own limit on an inference id
_LONGEST_PATH = 200


def log_exchange(exchange: Exchange) -> None:
    """Write the line of an exchange that is over."""
    level = logging.DEBUG if exchange.route in QUIET else logging.INFO
    if LOG.isEnabledFor(level):
        LOG.log(level, "%s", access_line(exchange, detailed=LOG.isEnabledFor(logging.DEBUG)))


def access_line(exchange: Exchange, *, detailed: bool = False) -> str:
    """Return an exchange as ``key=value`` pairs, in a fixed order; what doesn't apply is left out.

    Args:
        exchange: over.
        detailed: with the path as the client wrote it, which may hold anything.
    """
    tally = exchange.tally
    pairs: list[tuple[str, object]] = [
        ("method", exchange.method if exchange.method in _METHODS else "other"),
        ("path", exchange.route or "other"),
        ("status", exchange.status),
    ]
    if exchange.error:
        pairs.append(("error", exchange.error))
    if not exchange.whole:
        pairs.append(("cut", "yes"))
    if tally.records:
        pairs.append(("tasks", ",".join(f"{task}:{count}" for task, count in sorted(tally.records.items()))))
        pairs += [("records", sum(tally.records.values())), ("failed", sum(tally.failed.values()))]
    if tally.candidates is not None:
        pairs.append(("candidates", tally.candidates))
    pairs += [("ms", f"{exchange.seconds() * 1000:.1f}"), ("bytes", exchange.size)]
    if exchange.inference_id:
        pairs.append(("inference_id", escaped(exchange.inference_id, _LONGEST_ID)))
    if exchange.model:
        pairs.append(("model", exchange.model))
    if tally.rules:
        pairs.append(("rules", tally.rules))
    if detailed:
        pairs.append(("raw_path", escaped(exchange.path, _LONGEST_PATH)))
    return " ".join(f"{key}={value}" for key, value in pairs)


def escaped(text: str, most: int) -> str:
    """Return the first `most` characters of what a client wrote, without a blank or a line's end, as in a URL."""
    return quote(text[:most], safe="/:@+,;=!$&'()*?#", errors="backslashreplace")
