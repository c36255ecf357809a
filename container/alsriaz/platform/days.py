"""Calendar days as whole numbers: days since 1970-01-01, the only unit of time in the project."""

import datetime
import re
from typing import NewType

Day = NewType("Day", int)

_EPOCH = datetime.date(1970, 1, 1).toordinal()
_DAY = re.compile(r"(\d{4})(-?)(\d{2})\2(\d{2})", re.ASCII)


def parse_day(text: str) -> Day:
    """Return the day that `text` names as ``yyyymmdd`` or ``yyyy-mm-dd``.

    Raises:
        ValueError: `text` has another form, or names a day that no calendar has.
    """
    match = _DAY.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a day: expected yyyymmdd or yyyy-mm-dd")
    return day_of(int(match[1]), int(match[3]), int(match[4]))


def day_of(year: int, month: int, day: int) -> Day:
    """Return the day of a calendar date; ValueError where there is no such date."""
    return Day(datetime.date(year, month, day).toordinal() - _EPOCH)


def day_text(day: int) -> str:
    """Return `day` as ``yyyy-mm-dd``."""
    return datetime.date.fromordinal(day + _EPOCH).isoformat()


def today() -> Day:
    """Return the clock's day, in UTC. Only warnings may depend on it; "now" is the data's last day."""
    return Day(datetime.datetime.now(datetime.UTC).date().toordinal() - _EPOCH)
