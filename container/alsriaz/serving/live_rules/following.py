"""How workers follow the live rules: the folder in which the poller puts them in force, and a model under them.

Each version lies in a file of its own, which never changes; a link, replaced as a whole, says which one is in force. So
what a worker reads is whole and was checked, and a look at the link is all it takes to know that nothing is new.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from alsriaz.errors import BadValue, SpecError
from alsriaz.platform.json_file import read_object
from alsriaz.questions.recommender import Recommender
from alsriaz.questions.shop import Shop
from alsriaz.rules.rows import Rules, read_rules_file

LOOK_SECONDS = 1.0
"""How often a worker looks for a new version, at most; only requests make it look."""

_LOG = logging.getLogger("alsriaz.live_rules")
_VERSIONED = re.compile(r"rules-([0-9a-f]{12})\.json")

Live = tuple[str, Rules]
"""A version, and the rules that it stands for."""


@dataclass(frozen=True)
class Status:
    """What is known of the live rules, all moments in seconds since 1970."""

    version: str | None = None  # of the rules in force; None where there never were any
    since: float | None = None  # when they came in force
    checked: float | None = None  # when the last look ended
    succeeded: float | None = None  # when one last found what was in force, or put it in force
    error: str | None = None  # why the last look failed; None where it succeeded
    failures: Mapping[str, int] = field(default_factory=dict)  # how many looks failed, by reason


def version_of(data: bytes) -> str:
    """Return the first 12 hexadecimal digits of the sha256 of what was read: the rules' version."""
    return hashlib.sha256(data).hexdigest()[:12]


class RulesFolder:
    """The folder in which poller and workers meet, closed to other users. One process writes in it."""

    def __init__(self, path: Path) -> None:
        """Take the folder, which exists."""
        self._path = path
        self._link = path / "in-force"

    def version(self) -> str | None:
        """Return the version in force; None where there is none yet."""
        with contextlib.suppress(FileNotFoundError):
            if found := _VERSIONED.fullmatch(os.readlink(self._link)):
                return found[1]
        return None

    def file_of(self, version: str) -> Path:
        """Return the file of a version. It is removed once two newer ones have been in force."""
        return self._path / f"rules-{version}.json"

    def stage(self, data: bytes, name: str) -> Path:
        """Write what is to be checked, and return where: a file named `name` as far as that can be a file's name."""
        staged = self._path / "staged"
        staged.mkdir(exist_ok=True)
        path = staged / (re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)[-80:].lstrip(".") or "rules.json")
        path.write_bytes(data)
        return path

    def put_in_force(self, staged: Path, version: str) -> None:
        """Put what was staged and checked in force, at once and as a whole."""
        before = self.version()
        target = self.file_of(version)
        staged.replace(target)
        link = self._path / "in-force.new"
        link.unlink(missing_ok=True)
        link.symlink_to(target.name)
        link.replace(self._link)
        for path in self._path.glob("rules-*.json"):
            if path.name not in (target.name, f"rules-{before}.json"):
                path.unlink(missing_ok=True)

    def write_status(self, status: Status) -> None:
        """Replace what is known."""
        staged = self._path / "status.new"
        staged.write_text(json.dumps(asdict(status)), encoding="utf-8")
        staged.replace(self._path / "status.json")

    def status(self) -> Status:
        """Return what is known: nothing before the first look has ended, or where it can't be read."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Status(**json.loads((self._path / "status.json").read_bytes()))
        return Status()


class LiveRules:
    """The live rules in force. Every method may be called from any thread, but not before the fork.

    A request looks, at most once a second for all of them, and reads a new version before it is answered, so that an
    idle worker's first answer is up to date too. Others wait for it only then.
    """

    def __init__(
        self,
        folder: RulesFolder | None,
        kept_in_part: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take where versions are put, None where there are none, what to call when a model can't keep all of one."""
        self.kept_in_part = kept_in_part
        self._folder = folder
        self._clock = clock
        self._looking = threading.Lock()
        self._look_at = 0.0
        self._live: Live | None = None
        self._told: str | None = None

    def current(self) -> Live | None:
        """Return the version in force and its rules, the same object for as long; None where there is none yet."""
        if self._folder is not None and self._clock() >= self._look_at:
            with self._looking:
                self._look(self._folder)  # whoever waited looks too, which costs little
                self._look_at = self._clock() + LOOK_SECONDS
        return self._live

    def _look(self, folder: RulesFolder) -> None:
        """Read the version in force where it is new; where that fails keep what there is, and try again later."""
        error = None
        try:
            version = folder.version()
            if version is not None and (self._live is None or version != self._live[0]):
                self._live = version, read_rules_file(read_object(folder.file_of(version)))
        except OSError as failure:
            error = f"{failure.strerror}."
        except (SpecError, BadValue) as failure:
            error = str(failure)
        if error is not None and error != self._told:
            kept = "none" if self._live is None else self._live[0]
            _LOG.error("this worker can't read the live rules, and keeps what it has (%s): %s", kept, error)
        self._told = error


NO_LIVE_RULES = LiveRules(None)


class Follower:
    """A model under the live rules in force. Every method may be called from any thread.

    What answers is one reference, replaced as a whole; a request takes it once and keeps it, so that all its records
    are answered under the same rules.
    """

    def __init__(self, shop: Shop, live: LiveRules) -> None:
        """Take the model under its standing rules alone, and what it is to follow."""
        self._live = live
        self._binding = threading.Lock()
        self._now: tuple[Live | None, Shop] = None, shop

    def now(self) -> Shop:
        """Return the model under the rules in force, bound now where they are new."""
        if self._live.current() is not self._now[0]:
            with self._binding:
                live = self._live.current()  # again: while we waited a newer version may have been bound
                if live is not None and live is not self._now[0]:
                    shop = self._now[1].under(*live)
                    if shop.left_out:
                        self._live.kept_in_part()
                        reasons = " ".join(map(str, shop.left_out))
                        _LOG.warning("model %s keeps live rules %s in part: %s", shop.model_hash, live[0], reasons)
                    self._now = live, shop
        return self._now[1]


def follow(shop: Shop, live: LiveRules) -> Recommender:
    """Return what answers from a shop under the live rules in force."""
    return Recommender(shop, Follower(shop, live).now)
