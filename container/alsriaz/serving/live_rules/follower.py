"""The live rules in force, as a worker knows them."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alsriaz.errors import BadValue, SpecError
from alsriaz.platform.json_file import read_object
from alsriaz.rules.rows import Rules, read_rules_file
from alsriaz.serving.live_rules.folder import RulesFolder

LOOK_SECONDS = 1.0
"""How often a worker looks for a new version, at most; only requests make it look."""

_LOG = logging.getLogger("alsriaz.live_rules")


@dataclass(frozen=True, eq=False)
class Live:
    """One version of the live rules; each version is one object in a worker."""

    version: str
    rules: Rules


class Follower:
    """Follows the versions in a folder. Every method may be called from any thread, but not before the fork.

    A request looks, at most once a second for all of them, and reads a new version before it is answered, so that an
    idle worker's first answer is up to date too. Others wait for it only then.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the folder that the poller writes in, and a clock of seconds."""
        self._folder = RulesFolder(folder)
        self._clock = clock
        self._looking = threading.Lock()
        self._look_at = 0.0
        self._live: Live | None = None
        self._told: str | None = None

    def live(self) -> Live | None:
        """Return the version in force; None where there is none yet."""
        if self._clock() >= self._look_at:
            with self._looking:
                self._look()  # whoever waited looks too, which costs little
                self._look_at = self._clock() + LOOK_SECONDS
        return self._live

    def _look(self) -> None:
        """Read the version in force where it is new; where that fails keep what there is, and try again later."""
        try:
            version = self._folder.version()
            if version is not None and (self._live is None or version != self._live.version):
                self._live = Live(version, read_rules_file(read_object(self._folder.file_of(version))))
        except OSError as error:
            self._tell(f"{error.strerror}.")
        except (SpecError, BadValue) as error:
            self._tell(str(error))
        else:
            self._told = None

    def _tell(self, error: str) -> None:
        if error != self._told:
            self._told = error
            kept = "none" if self._live is None else self._live.version
            _LOG.error("this worker can't read the live rules, and keeps what it has (%s): %s", kept, error)
