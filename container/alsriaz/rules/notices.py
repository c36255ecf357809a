"""Warnings that travel with an answer: nothing failed, but the caller should know."""

from collections.abc import Iterable
from typing import NamedTuple

from alsriaz.platform.values import shown

MOST_NOTICES = 20


class Notice(NamedTuple):
    """A warning that travels with an answer."""

    code: str
    message: str


def notices(code: str, message: str, ids: Iterable[str]) -> list[Notice]:
    """Return a warning for each id; beyond `MOST_NOTICES` the last one says how many more there are."""
    named = list(ids)
    told = [Notice(code, message.format(shown(one))) for one in named[:MOST_NOTICES]]
    if len(named) > MOST_NOTICES:
        told.append(Notice(code, f"The same holds for {len(named) - MOST_NOTICES} more."))
    return told
