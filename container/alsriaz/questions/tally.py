"""What passes between questions and whoever asks them: records, answers, and what a request came to in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alsriaz.errors import CallerError

Record = Mapping[str, Any]
Answer = Mapping[str, Any]
Answered = tuple[Record | CallerError, Answer | CallerError]
"""A record, or why it could not be read, with its answer, or with the error that it met."""

OTHER = "other"
"""The task of a record that could not be read, or that names none of ours: what clients write is no label."""

SEVERAL = "several"
"""The task of a request whose records have more than one."""


@dataclass(slots=True)
class Tally:
    """Counts over the records of one request, kept up while they are answered. It never holds an id.

    Attributes:
        records: by task, how many were answered.
        failed: by task, how many of those met an error.
        candidates: the least number of items that could have been recommended to a record; None where none was ranked.
        rules: the version of the live rules that all records were answered under; None where there were none.
    """

    records: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    candidates: int | None = None
    rules: str | None = None

    def add(self, task: str, *, failed: bool) -> None:
        """Count one record."""
        self.records[task] = self.records.get(task, 0) + 1
        if failed:
            self.failed[task] = self.failed.get(task, 0) + 1

    def add_candidates(self, candidates: int) -> None:
        """Take in how many items were left to recommend to one record, after all rules."""
        if self.candidates is None or candidates < self.candidates:
            self.candidates = candidates

    @property
    def task(self) -> str:
        """The one task of all records; `SEVERAL` or `OTHER` where there is not just one."""
        if len(self.records) > 1:
            return SEVERAL
        return next(iter(self.records), OTHER)
