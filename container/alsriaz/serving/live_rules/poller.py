"""Looks for live rules, checks them, and puts them in force: a process of its own, one whatever the number of workers.

It keeps boto3 out of the workers, and nothing that it meets can hold up an answer. Rules that can't be read or are no
good change nothing: the last good ones stay in force, and the log and /metrics say so. SIGTERM ends it at once.
"""

import logging
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from alsriaz.errors import BadValue, CallerError, SpecError
from alsriaz.platform.json_file import read_object
from alsriaz.platform.layout import Layout
from alsriaz.platform.limits import MOST_HISTORY
from alsriaz.platform.values import shown
from alsriaz.questions.question import Limits
from alsriaz.questions.shop import open_shop
from alsriaz.rules.binding import Notice
from alsriaz.rules.rows import Guest, Rules, read_rules_file
from alsriaz.scoring.history import read_history
from alsriaz.serving.live_rules.following import RulesFolder, Status, version_of
from alsriaz.serving.live_rules.sources import FileLocation, FileSource, Location, Source, Unusable
from alsriaz.serving.log import configure_log
from alsriaz.serving.settings import RULES_FOLDER, Settings, read_settings

Check = Callable[[Rules], Iterable[Notice]]
"""Raises BadValue where the model can't keep rules that are good by themselves; returns what is to be told of others.
"""

_LOG = logging.getLogger("alsriaz.live_rules")
_REMIND_SECONDS = 600.0
_JITTER = 0.1  # of the interval, either way: the containers of an endpoint don't ask all at once


class Poller:
    """One source of live rules, and the folder in which they are put in force."""

    def __init__(self, source: Source, uri: str, folder: RulesFolder, check: Check) -> None:
        """Go on from what an earlier poller has left in `folder`; `uri` is for the log."""
        self._source = source
        self._uri = uri
        self._folder = folder
        self._check = check
        self._tag: str | None = None
        self._judged: tuple[str | None, Unusable | None] = None, None  # the version last seen, what is wrong with it
        self._told: tuple[str | None, float] = None, 0.0
        version, known = folder.version(), folder.status()
        self._status = replace(known, version=version, since=known.since if known.version == version else time.time())

    def poll(self) -> Status:
        """Look for rules once; return what is known now, which also stands in the folder."""
        try:
            self._look()
        except Unusable as error:
            self._failed(error)
        else:
            now = time.time()
            if self._status.error is not None:
                _LOG.info("live rules can be used again: %s", shown(self._uri, 200))
            self._status = replace(self._status, checked=now, succeeded=now, error=None)
            self._told = None, 0.0
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
                try:
                    self._judged = version, self._taken(fetched.data, version)
                except OSError as error:
                    message = f"The rules can't be stored in {RULES_FOLDER}: {error.strerror}."
                    raise Unusable("not_stored", message) from None
            self._tag = fetched.tag
        if self._judged[1] is not None:
            raise self._judged[1]

    def _taken(self, data: bytes, version: str) -> Unusable | None:
        """Put rules not seen before in force; return what is wrong with them, where that is why they are not."""
        staged = self._folder.stage(data, self._uri.rpartition("/")[2])
        try:
            rules = read_rules_file(read_object(staged))
            _check_histories(rules)
            told = self._check(rules)
        except (SpecError, BadValue) as error:
            return Unusable("malformed" if isinstance(error, SpecError) else "refused", str(error))
        if version != self._folder.version():
            self._folder.put_in_force(staged, version)
            self._status = replace(self._status, version=version, since=time.time())
            _LOG.info("live rules %s are in force, from %s", version, shown(self._uri, 200))
            for notice in told:
                _LOG.warning("live rules %s: %s", version, notice.message)
        return None

    def _failed(self, error: Unusable) -> None:
        failures = {**self._status.failures, error.reason: self._status.failures.get(error.reason, 0) + 1}
        self._status = replace(self._status, checked=time.time(), error=str(error), failures=failures)
        said, at = self._told
        if said != str(error) or time.monotonic() - at >= _REMIND_SECONDS:
            self._told = str(error), time.monotonic()
            level, still = logging.WARNING, f"The last good ones, {self._status.version}, stay in force."
            if self._status.version is None:
                level, still = logging.ERROR, "None were in force yet: the model's standing rules hold alone."
            _LOG.log(level, "live rules %s can't be used: %s %s", shown(self._uri, 200), error, still)


def _check_histories(rules: Rules) -> None:
    """Raise BadValue where a history can't be read, though none has an effect here.

    It is all that rules leave as it came. Nested deeply, it could be read by us and yet not by a worker, whose stack is
    deeper.
    """
    guests: tuple[Guest, ...] = rules.get("include.customers", ())
    for guest in guests:
        try:
            if guest.history is not None:
                read_history(guest.history, "history", MOST_HISTORY)
        except BadValue as error:
            message = f"the history of {shown(guest.customer)} in include.customers: {error}"
            raise BadValue("include.customers", message) from None


def open_source(location: Location, most_bytes: int, environ: Mapping[str, str]) -> Source:
    """Return the source at a location; `environ` may name a region in AWS_REGION, which boto3 itself overlooks."""
    if isinstance(location, FileLocation):
        return FileSource(location.path, most_bytes)
    from alsriaz.serving.live_rules.s3 import S3Source  # boto3 takes 60 MB and a second: not for a file

    return S3Source(location, most_bytes, region=environ.get("AWS_REGION") or None)


def check_for(settings: Settings, layout: Layout) -> Check:
    """Return what rules must pass beyond being rules; where models come and go, each leaves out what it can't keep."""
    return (lambda rules: ()) if settings.multi_model else open_shop(layout.model, Limits(settings.max_k)).check_live


def main() -> int:
    """Look for rules until this process is ended; return 1 where it can't even start."""
    try:
        settings = read_settings(os.environ)
        configure_log(settings.log_level)
        if settings.rules is None:
            raise SpecError("ALSRIAZ_RULES_URI is not set: there are no live rules to look for.")
        source = open_source(settings.rules, settings.rules_max_bytes, os.environ)
        check = check_for(settings, Layout.from_environment())
    except CallerError as error:
        print(f"live rules: {error}", file=sys.stderr)
        return 1
    poller = Poller(source, settings.rules.uri, RulesFolder(Path(os.environ[RULES_FOLDER])), check)
    while True:
        poller.poll()
        time.sleep(settings.rules_poll_seconds * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - no secret


if __name__ == "__main__":
    sys.exit(main())
