"""Media types: which one a request has, and which one its answer should have."""

from collections.abc import Sequence

from alsriaz.core.errors import RequestError
from alsriaz.core.setting import shown

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


def answer_type(accept: str | None, default: str) -> str:
    """Return the type that Accept asks for, or `default` where it leaves the choice.

    Ranges are taken by quality, then in the order given, as RFC 9110 12.5.1 has it.

    Raises:
        RequestError: `not_acceptable`, where none of ours is asked for.
    """
    if not accept or not accept.strip():
        return default
    ranges = [_split(part) for part in accept.split(",") if part.strip()]
    refused = {_NAMES.get(name) for name, quality in ranges if quality == 0}
    for name, quality in sorted(ranges, key=lambda entry: -entry[1]):
        if quality > 0:
            for found in _matches(name, default):
                if found not in refused:
                    return found
    raise RequestError("not_acceptable", f"Accept is {shown(accept)}, {_KNOWN}.")


def _matches(name: str, default: str) -> list[str]:
    """Return our types that lie in a media range, the default first."""
    if name in _NAMES:
        return [_NAMES[name]]
    within = [media for media in (default, JSON, LINES, CSV) if name == "*/*" or f"{media.split('/')[0]}/*" == name]
    return list(dict.fromkeys(within))


def _split(part: str) -> tuple[str, float]:
    """Return a media range without its parameters, and its quality."""
    name, *parameters = part.split(";")
    return name.strip().lower(), _quality(parameters)


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
