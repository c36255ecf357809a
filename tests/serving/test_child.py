import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from alsriaz.serving.child import Child
from tests.serving.serving_process import alive, until

# Ignores SIGTERM, starts a grandchild, and says the grandchild's pid in a file.
STUBBORN = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
path = pathlib.Path(sys.argv[1])
path.with_suffix(".new").write_text(str(grandchild.pid))
path.with_suffix(".new").rename(path)
time.sleep(1000)
"""

STATUSES = [
    # what the child does, status, why
    ("pass", 0, "done"),
    ("raise SystemExit(7)", 7, "its own status"),
    ("import os; os.kill(os.getpid(), 9)", 137, "128 + the signal's number"),
]


async def start(*arguments: str) -> Child:
    return await Child.start("python", sys.executable, "-c", *arguments, environ=os.environ, folder="/")


@pytest.mark.parametrize(("code", "status"), [row[:2] for row in STATUSES], ids=[row[2] for row in STATUSES])
def test_status(code: str, status: int) -> None:
    async def run() -> int:
        child = await start(code)
        try:
            return await child.ended()
        finally:
            await child.kill_group()

    assert asyncio.run(run()) == status


def test_group_is_killed_whatever_it_ignores(tmp_path: Path) -> None:
    async def run() -> tuple[bool, int]:
        child = await start(STUBBORN, str(tmp_path / "pid"))
        try:
            await asyncio.to_thread(until, (tmp_path / "pid").exists)
            ended = await child.end(signal.SIGTERM, 0.1)
        finally:
            await child.kill_group()
        return ended, await child.ended()

    assert asyncio.run(run()) == (False, 137)
    grandchild = int((tmp_path / "pid").read_text())
    until(lambda: not alive(grandchild))


def test_orphans_of_a_dead_child_are_killed(tmp_path: Path) -> None:
    async def run() -> None:
        child = await start(STUBBORN, str(tmp_path / "pid"))
        try:
            await asyncio.to_thread(until, (tmp_path / "pid").exists)
            os.kill(child.process.pid, signal.SIGKILL)
            assert await child.ended() == 137
            assert await child.end(signal.SIGTERM, 0.1), "what has ended is ended at once"
        finally:
            await child.kill_group()

    asyncio.run(run())
    grandchild = int((tmp_path / "pid").read_text())
    until(lambda: not alive(grandchild))
