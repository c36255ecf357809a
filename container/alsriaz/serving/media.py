"""Media types: which one a request has, and which one its answer should have."""

import functools
from collections.abc import Sequence

from alsriaz.errors import RequestError
from alsriaz.platform.values import shown

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"

_NAMES = {
    JSON: JSON,
    LINES: LINES,
    "application/x-jsonlines": LINES,
    "application/jsonl": LINES,
    "application/x-ndjson": LINES,
    CSV: CSV,
}
_KNOWN = f"expected {JSON}, {LINES} or {CSV}"

# Clients send the same headers again and again; 64 of the longest that nginx lets through, 8 KB, are half a megabyte.
_looked_up_once = functools.lru_cache(maxsize=64)


@_looked_up_once
def request_type(content_type: str | None) -> str:
    """Return the type of a request's body: JSON, LINES or CSV; a request that doesn't say is JSON.

    Raises:
        RequestError: `unsupported_media_type`, for any other.
    """
    if not content_type or not content_type.strip():
        return JSON
    name, _ = _split(content_type)
    if name not in _NAMES:
        raise RequestError("unsupported_media_type", f"Content-Type is {shown(content_type)}, {_KNOWN}.")
    return _NAMES[name]


@_looked_up_once
def answer_type(accept: str | None, default: str) -> str:
    """Return the type that Accept asks for, or `default` where it leaves the choice.

    For each type the closest range counts; types are taken by quality, then in the order given, as RFC 9110 12.5.1 has
    it. Among types that one range names, `default` comes first.

    Raises:
        RequestError: `not_acceptable`, where none of ours is asked for.
    """
    if not accept or not accept.strip():
        return default
    ranges = [_split(part) for part in accept.split(",") if part.strip()]
    best, (quality, _) = max(
        ((media, _wish(media, ranges)) for media in dict.fromkeys((default, JSON, LINES, CSV))), key=lambda one: one[1]
    )
    if not quality:
        raise RequestError("not_acceptable", f"Accept is {shown(accept)}, {_KNOWN}.")
    return best


def _wish(media: str, ranges: Sequence[tuple[str, float]]) -> tuple[float, int]:
    """Return how much a type is wanted, which the closest range says: its quality, and its place from the end."""
    aliases = {name for name, meant in _NAMES.items() if meant == media}
    for names in ({media}, aliases, {f"{media.split('/')[0]}/*"}, {"*/*"}):
        told = [(quality, -place) for place, (name, quality) in enumerate(ranges) if name in names]
        if told:
            return max(told)
    return 0.0, 0


def _split(part: str) -> tuple[str, float]:
    """Return a media range without its parameters, and its quality."""
    name, *parameters = part.split(";")
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            try:
                quality = min(max(float(value), 0.0), 1.0)
            except ValueError:
                quality = 0.0
            break
    return name.strip().lower(), quality
