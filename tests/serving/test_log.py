import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

CONTAINER = Path(__file__).resolve().parents[2] / "container"
SAY = """
import logging, sys, time
from alsriaz.serving.log import configure_log, write_line
configure_log({level!r})
log = logging.getLogger("alsriaz.any")
log.debug("a debug line")
log.info("%d of %s", 1, "two")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("it failed")
own = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
for moment in (1.0, 1.9996, 1.5, 86399.001, 1.25):
    time.time = lambda: moment
    record = logging.LogRecord("a.b", logging.WARNING, "", 0, "%s!", ("x\\ud800",), None)
    record.created, record.msecs = moment, moment % 1 * 1000
    print(own.format(record).encode(errors="backslashreplace").decode(), file=sys.stderr)
    write_line(logging.getLogger("a.b"), logging.WARNING, "x\\ud800!")
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
    direct = [line for line in lines if " WARNING a.b: x" in line]
    assert len(direct) == 10
    assert direct[::2] == direct[1::2], "a line past logging's records is one of theirs"
    assert lines[-11] == "ZeroDivisionError: division by zero"


def test_what_is_below_the_level_is_not_written() -> None:
    assert [line.split(" ")[2] for line in said("error") if " alsriaz.any: " in line] == ["ERROR"]
