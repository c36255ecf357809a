"""How serve and its workers write their log: a line each to stderr, at once."""

import contextlib
import logging
import os
import time

_STDERR = 2

_second = (-1, "")  # the last one written: one tuple, read and replaced at once, since threads may come in between


def configure_log(level: str) -> None:
    """Write what is of `level`, a name of `settings.LOG_LEVELS`, or above."""
    # Who called, and in which thread, stands in no line, so it is not found out for each.
    logging._srcfile = None
    logging.logThreads = logging.logMultiprocessing = False  # gunicorn's own lines name the process
    logging.basicConfig(level=level.upper(), force=True)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Lines())


def write_line(log: logging.Logger, level: int, message: str) -> None:
    """Write a line as `log` would, in an eighth of the time: no record is made, and no handler asked.

    The caller has asked whether the level is on. One call of the system writes it, so no other process's line can come
    in between; it is not the request's fault where the log can't be written.
    """
    now = time.time()
    line = f"{_moment(now, now % 1 * 1000)} {logging.getLevelName(level)} {log.name}: {message}\n"
    with contextlib.suppress(OSError):
        os.write(_STDERR, line.encode(errors="backslashreplace"))


class _Lines(logging.Formatter):
    """Writes ``2026-01-31 12:00:00,123 INFO name: message`` as logging's own formatter does, in a third of the time."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info or record.stack_info:
            return super().format(record)
        return f"{_moment(record.created, record.msecs)} {record.levelname} {record.name}: {record.getMessage()}"


def _moment(created: float, milliseconds: float) -> str:
    """Return a time as ``2026-01-31 12:00:00,123``; the milliseconds are those of its second."""
    global _second
    second = int(created)
    known, text = _second
    if second != known:
        text = time.strftime(logging.Formatter.default_time_format, time.localtime(second))
        _second = second, text
    return f"{text},{int(milliseconds):03d}"
