"""The folder in which the poller and the workers meet: the rules in force, and what is known of them.

Each version lies in a file of its own, which never changes; a link, replaced as a whole, says which one is in force. So
what a worker reads is whole and was checked, and a look at the link is all it takes to know that nothing is new.
"""

import contextlib
import hashlib
import os
import re
from pathlib import Path

from alsriaz.serving.live_rules.status import Status, pack, unpack

FOLDER = "ALSRIAZ_LIVE_RULES_FOLDER"
"""The environment variable by which the supervisor tells poller and workers where they meet; for nobody else to set."""

_VERSIONED = re.compile(r"rules-([0-9a-f]{12})\.json")


def version_of(data: bytes) -> str:
    """Return the first 12 hexadecimal digits of the sha256 of what was read: the rules' version."""
    return hashlib.sha256(data).hexdigest()[:12]


class RulesFolder:
    """One such folder, which exists and is closed to other users. One process writes in it."""

    def __init__(self, path: Path) -> None:
        """Take the folder."""
        self._path = path
        self._link = path / "in-force"
        self._status = path / "status.json"

    def version(self) -> str | None:
        """Return the version in force; None where there is none yet."""
        try:
            found = _VERSIONED.fullmatch(os.readlink(self._link))
        except FileNotFoundError:
            return None
        return found[1] if found else None

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
        staged.write_bytes(pack(status))
        staged.replace(self._status)

    def read_status(self) -> Status | None:
        """Return what is known; None before the first check, or where it can't be read."""
        with contextlib.suppress(OSError, ValueError):
            return unpack(self._status.read_bytes())
        return None
