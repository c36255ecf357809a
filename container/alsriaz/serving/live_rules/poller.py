"""Looks for live rules, checks them, and puts them in force.

Rules that can't be read or are no good change nothing: the last good ones stay in force, and the log and /metrics say
so.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from alsriaz.errors import BadValue, SpecError
from alsriaz.platform.json_file import read_object
from alsriaz.platform.limits import MOST_HISTORY
from alsriaz.platform.values import shown
from alsriaz.rules.binding import Notice
from alsriaz.rules.rows import Guest, Rules, read_rules_file
from alsriaz.scoring.history import read_history
from alsriaz.serving.live_rules.folder import FOLDER, RulesFolder, version_of
from alsriaz.serving.live_rules.source import Source, Unusable
from alsriaz.serving.live_rules.status import Status

Check = Callable[[Rules], Iterable[Notice]]

_LOG = logging.getLogger("alsriaz.live_rules")
_REMIND_SECONDS = 600.0


class Poller:
    """One source of live rules, and the folder in which they are put in force."""

    def __init__(self, source: Source, uri: str, folder: RulesFolder, check: Check) -> None:
        """Go on from what an earlier poller has left in `folder`.

        Args:
            source: of the rules.
            uri: where they are, for the log.
            folder: where workers find them.
            check: raises BadValue where the model can't keep rules that are good by themselves; returns what is to be
                told of those that it can.
        """
        self._source = source
        self._uri = uri
        self._folder = folder
        self._check = check
        self._tag: str | None = None
        self._judged: tuple[str | None, Unusable | None] = None, None  # the version last seen, what is wrong with it
        self._told: tuple[str | None, float] = None, 0.0
        version = folder.version()
        known = folder.read_status() or Status()
        self._status = replace(known, version=version, since=known.since if known.version == version else time.time())

    def poll(self) -> Status:
        """Look for rules once; return what is known now, which also stands in the folder."""
        try:
            self._look()
        except Unusable as error:
            self._failed(error)
        else:
            self._succeeded()
        try:
            self._folder.write_status(self._status)
        except OSError as error:
            _LOG.warning("what is known of the live rules can't be written: %s", error.strerror)
        return self._status

    def _look(self) -> None:
        """Put in force what is new and good; Unusable where there is nothing, or nothing good."""
        fetched = self._source.fetch(self._tag)
        if fetched is not None:
            version = version_of(fetched.data)
            if version != self._judged[0]:
                self._take(fetched.data, version)
            self._tag = fetched.tag
        if self._judged[1] is not None:
            raise self._judged[1]

    def _take(self, data: bytes, version: str) -> None:
        """Judge rules not seen before, and put them in force where they are good."""
        name = self._uri.rpartition("/")[2]
        try:
            staged = self._folder.stage(data, name)
            told, wrong = self._judge(staged)
            if wrong is None and version != self._folder.version():
                self._folder.put_in_force(staged, version)
                self._status = replace(self._status, version=version, since=time.time())
                _LOG.info("live rules %s are in force, from %s", version, shown(self._uri, 200))
                for notice in told:
                    _LOG.warning("live rules %s: %s", version, notice.message)
        except OSError as error:
            raise Unusable("not_stored", f"The rules can't be stored in {FOLDER}: {error.strerror}.") from None
        self._judged = version, wrong

    def _judge(self, staged: Path) -> tuple[Iterable[Notice], Unusable | None]:
        """Return what is to be told of rules, and what is wrong with them."""
        try:
            rules = read_rules_file(read_object(staged))
            _check_histories(rules)
            return self._check(rules), None
        except SpecError as error:
            return (), Unusable("malformed", str(error))
        except BadValue as error:
            return (), Unusable("refused", str(error))

    def _succeeded(self) -> None:
        now = time.time()
        if self._status.error is not None:
            _LOG.info("live rules can be used again: %s", shown(self._uri, 200))
        self._status = replace(self._status, checked=now, succeeded=now, error=None)
        self._told = None, 0.0

    def _failed(self, error: Unusable) -> None:
        failures = dict(self._status.failures)
        failures[error.reason] = failures.get(error.reason, 0) + 1
        self._status = replace(self._status, checked=time.time(), error=str(error), failures=failures)
        said, at = self._told
        if said != str(error) or time.monotonic() - at >= _REMIND_SECONDS:
            self._told = str(error), time.monotonic()
            level = logging.ERROR if self._status.version is None else logging.WARNING
            _LOG.log(level, "live rules %s can't be used: %s %s", shown(self._uri, 200), error, self._still())

    def _still(self) -> str:
        if self._status.version is None:
            return "None were in force yet: the model's standing rules hold alone."
        return f"The last good ones, {self._status.version}, stay in force."


def _check_histories(rules: Rules) -> None:
    """Raise BadValue where a history can't be read, though none has an effect here.

    It is all that rules leave as it came. Nested deeply, it could be read by us and yet not by a worker, whose stack is
    deeper.
    """
    guests: tuple[Guest, ...] = rules.get("include.customers", ())
    for guest in guests:
        if guest.history is None:
            continue
        try:
            read_history(guest.history, "history", MOST_HISTORY)
        except BadValue as error:
            message = f"the history of {shown(guest.customer)} in include.customers: {error}"
            raise BadValue("include.customers", message) from None
