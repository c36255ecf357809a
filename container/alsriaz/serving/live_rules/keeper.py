"""Keeps a poller running beside the server: a child of the supervisor that may end without anything else ending."""

import asyncio
import importlib.util
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from alsriaz.errors import SpecError
from alsriaz.serving.child import Child
from alsriaz.serving.live_rules.folder import RulesFolder
from alsriaz.serving.live_rules.location import Location, S3Location

CLIENT = "boto3"
COMMAND = (sys.executable, "-P", "-m", "alsriaz.serving.live_rules")

_LOG = logging.getLogger("alsriaz.live_rules")
_PAUSES = (2.0, 60.0)  # seconds: the first one, and the longest; each is twice the one before
_FIRST_CHECK_SECONDS = 30.0


def check_location(location: Location | None) -> None:
    """Raise SpecError where live rules at this location could never be read here."""
    if isinstance(location, S3Location) and importlib.util.find_spec(CLIENT) is None:
        message = "but boto3 is not installed: pip install boto3, or name a file."
        raise SpecError(f"ALSRIAZ_RULES_URI is {location.uri}, {message}")


async def keep_polling(
    environ: Mapping[str, str],
    folder: str,
    command: tuple[str, ...] = COMMAND,
    pauses: tuple[float, float] = _PAUSES,
) -> None:
    """Run a poller, and another one whenever it ends, until this task is cancelled. None is left running then.

    Args:
        environ: of the poller.
        folder: its working directory.
        command: what to run.
        pauses: seconds before it is started again: at first, and at most where it ends soon each time.
    """
    pause, longest = pauses
    while True:
        began = time.monotonic()
        how = await _run(environ, folder, command)
        if time.monotonic() - began > longest:
            pause = pauses[0]
        _LOG.error("the poller of live rules %s: another one starts in %.0f s; the last good rules stay", how, pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, longest)


async def _run(environ: Mapping[str, str], folder: str, command: tuple[str, ...]) -> str:
    """Run a poller until it ends; return how it ended, in words."""
    try:
        child = await Child.start("live rules", *command, environ=environ, folder=folder)
    except OSError as error:
        return f"can't be started ({error.strerror})"
    try:
        return f"ended with status {await child.ended()}, unasked"
    finally:
        await child.kill_group()


async def first_check(folder: Path, seconds: float = _FIRST_CHECK_SECONDS) -> None:
    """Return once live rules have been looked for; after `seconds` in any case, for serving must not hang on them."""
    deadline = time.monotonic() + seconds
    known = RulesFolder(folder)
    while known.read_status() is None:
        if time.monotonic() > deadline:
            _LOG.error(
                "live rules have not been looked for within %.0f s: serving starts without, the model's standing rules "
                "hold alone until then",
                seconds,
            )
            return
        await asyncio.sleep(0.05)
