"""Which days a training run learns from."""

from dataclasses import dataclass

import numpy as np

from alsriaz.errors import DataError
from alsriaz.platform.days import Day, day_text, today
from alsriaz.platform.spec import Spec
from alsriaz.tables.sales import Purchases


@dataclass(frozen=True)
class Window:
    """The days `first` to `last`, both included."""

    first: Day
    last: Day

    def until(self, last: int) -> "Window":
        """Return this window cut to end at `last`."""
        return Window(self.first, Day(last))

    def after(self, day: int) -> "Window":
        """Return the part of this window that follows `day`."""
        return Window(Day(day + 1), self.last)

    def __str__(self) -> str:
        return f"{day_text(self.first)} to {day_text(self.last)}"


def find_window(spec: Spec, purchases: Purchases) -> tuple[Window, list[str]]:
    """Return the window that the spec asks for in these purchases, and what the caller should be warned of.

    Raises:
        DataError: no purchase lies in the window.
    """
    data = Window(Day(int(purchases.days.min())), Day(int(purchases.days.max())))
    last, warnings = data.last, []
    if spec.retention_date is not None:
        last = min(spec.retention_date, data.last)
        if spec.retention_date > data.last:
            warnings.append(
                f"retention_date {day_text(spec.retention_date)} is after the data's last day: "
                f"the window was moved to end on {day_text(data.last)}."
            )
    first = data.first if spec.retention_days is None else Day(max(last - spec.retention_days + 1, data.first))
    window = Window(first, last)
    if not np.any((purchases.days >= window.first) & (purchases.days <= window.last)):
        raise DataError(
            f"No purchase lies in the retention window, which ends on {day_text(last)}: the data runs from {data}. "
            "Choose a later retention_date or more retention_days."
        )
    if last > today():
        warnings.append(
            f"The window's last day, {day_text(last)}, is in the future: are the dates read as they are meant?"
        )
    return window, warnings
