import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

CONTAINER = Path(__file__).resolve().parents[2] / "container"
SAY = """
import logging
from alsriaz.serving.log import configure_log
configure_log({level!r})
log = logging.getLogger("alsriaz.any")
log.debug("a debug line")
log.info("%d of %s", 1, "two")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("it failed")
handler = logging.getLogger().handlers[0]
own = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
for moment in (0.0, 0.9996, 1.5, 86399.001, 1.25):
    record = logging.LogRecord("a.b", logging.WARNING, "", 0, "%s!", ("x",), None)
    record.created, record.msecs = moment, moment % 1 * 1000
    assert handler.format(record) == own.format(record), (handler.format(record), own.format(record))
"""


def said(level: str) -> list[str]:
    """Return what an interpreter of its own writes: the log's settings are a whole process's."""
    program = SAY.format(level=level)
    environ = {**os.environ, "PYTHONPATH": str(CONTAINER)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_line_has_its_time_level_and_name(level: str) -> None:
    lines = said(level)
    if level == "debug":
        assert lines.pop(0).endswith(" DEBUG alsriaz.any: a debug line")
    time, _, rest = lines[0].partition(" INFO ")
    assert logging.Formatter.default_time_format == "%Y-%m-%d %H:%M:%S"
    assert len(time) == len("2026-01-31 12:00:00,123")
    assert rest == "alsriaz.any: 1 of two"
    assert lines[1].endswith(" ERROR alsriaz.any: it failed")
    assert lines[2] == "Traceback (most recent call last):"
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_what_is_below_the_level_is_not_written() -> None:
    assert [line.split(" ")[2] for line in said("error") if " alsriaz.any: " in line] == ["ERROR"]
