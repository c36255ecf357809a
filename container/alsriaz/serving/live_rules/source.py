"""What reading live rules comes to, wherever they are."""

from dataclasses import dataclass
from typing import Protocol

from alsriaz.errors import AlsriazError

REASONS = (
    "missing",  # there is nothing at the location
    "denied",  # we may not read it
    "unreachable",  # the network or the service fails
    "unreadable",  # it is there, but is no file, or its disk fails
    "too_large",  # see ALSRIAZ_RULES_MAX_MB
    "changed",  # it changed, or was cut, while it was read
    "malformed",  # no JSON object
    "refused",  # no rules, or none that this model can keep
    "not_stored",  # they are good, but our own folder can't take them
)
"""Why a check of the live rules can fail: labels of a metric, so they are few and don't change."""


class Unusable(AlsriazError):
    """The live rules can't be taken from where they are; those that were in force stay."""

    def __init__(self, reason: str, message: str) -> None:
        """Take one of `REASONS`, and a sentence for whoever keeps the rules."""
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Fetched:
    """What was read.

    Attributes:
        data: all of it.
        tag: by which the source tells next time whether it has changed; None where it can't tell.
    """

    data: bytes
    tag: str | None


class Source(Protocol):
    """A place that live rules are read from, again and again."""

    def fetch(self, known: str | None) -> Fetched | None:
        """Return what is there now; None where it is still what had the tag `known`.

        Raises:
            Unusable: it can't be read, or not whole.
        """


def too_large(size: int | None, most: int) -> Unusable:
    """Return the error for rules of more than `most` bytes; None is an unknown size."""
    told = "more" if size is None else f"{size:,} bytes"
    return Unusable(
        "too_large", f"It has {told}, expected at most {most:,} bytes: shorten it, or raise ALSRIAZ_RULES_MAX_MB."
    )
