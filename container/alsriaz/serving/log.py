"""How serve and its workers write their log: a line each to stderr, at once."""

import contextlib
import logging
import os
import time

_STDERR = 2

_second = (-1, "")  # the last one written: one tuple, read and replaced at once, since threads may come in between


def configure_log(level: str) -> None:
    """Write what is of `level`, a name of `settings.LOG_LEVELS`, or above."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)


def write_line(log: logging.Logger, level: int, message: str) -> None:
    """Write the line that `log` would write at `level`, in a fifth of the time: without a record, handlers and locks.

    The caller has asked whether the level is on. It is one call of the system, so that no other process's line can come
    in between; where the log can't be written, that is not the request's fault.
    """
    global _second
    now = time.time()
    second, text = _second
    if second != int(now):
        text = time.strftime(logging.Formatter.default_time_format, time.localtime(now))
        _second = int(now), text
    line = f"{text},{int(now % 1 * 1000):03d} {logging.getLevelName(level)} {log.name}: {message}\n"
    with contextlib.suppress(OSError):
        os.write(_STDERR, line.encode(errors="backslashreplace"))
