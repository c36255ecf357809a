"""What is known of the live rules: one small file, written by the poller, read for /metrics and by the supervisor."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Status:
    """The live rules as of the last check. Moments are seconds since 1970, UTC.

    Attributes:
        version: of the rules in force; None where there never were any.
        since: when they came in force.
        checked: when the last check ended.
        succeeded: when a check last found what was in force, or put it in force.
        error: why the last check failed; None where it succeeded.
        failures: how many checks failed, by reason.
    """

    version: str | None = None
    since: float | None = None
    checked: float | None = None
    succeeded: float | None = None
    error: str | None = None
    failures: Mapping[str, int] = field(default_factory=dict)


def pack(status: Status) -> bytes:
    """Return what `unpack` reads."""
    return json.dumps(asdict(status)).encode()


def unpack(data: bytes) -> Status:
    """Return the status that `pack` wrote; ValueError where it did not."""
    values: Any = json.loads(data)
    try:
        return Status(**values)
    except TypeError:
        raise ValueError("no status of live rules") from None
