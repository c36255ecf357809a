"""A child process that leads its own process group, so that it and all it started can be ended as one."""

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>; Linux only
_GROUP_GONE_SECONDS = 2.0


@dataclass(frozen=True, eq=False)
class Child:
    """A running child and the group that it leads."""

    name: str
    process: asyncio.subprocess.Process

    @classmethod
    async def start(cls, name: str, *command: str, environ: Mapping[str, str], folder: str) -> "Child":
        """Start `command` in the working directory `folder`, in a session of its own: Ctrl-C doesn't reach it.

        It gets SIGTERM when this process is gone, however that came.

        Raises:
            OSError: there is no such program, or it can't be run.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            env=environ,
            cwd=folder,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        return cls(name, process)

    async def ended(self) -> int:
        """Return the child's exit status once it has ended; 128 + n where signal n ended it."""
        status = await self.process.wait()
        return status if status >= 0 else 128 - status

    async def end(self, signum: signal.Signals, seconds: float) -> bool:
        """Send `signum` to the child alone; return whether it ended within `seconds`."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signum)
        try:
            async with asyncio.timeout(seconds):
                await self.process.wait()
        except TimeoutError:
            return False
        return True

    async def kill_group(self) -> None:
        """Kill whatever is left of the group, and wait until it is gone."""
        deadline = time.monotonic() + _GROUP_GONE_SECONDS
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.wait()
            while time.monotonic() < deadline:
                _reap_group(self.process.pid)
                os.killpg(self.process.pid, 0)
                await asyncio.sleep(0.01)


def _end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent is gone; runs in the child, before the program."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _reap_group(group: int) -> None:
    """Take the statuses of the group's orphans: as process 1 of a container we inherit them."""
    with contextlib.suppress(ChildProcessError):
        while os.waitid(os.P_PGID, group, os.WEXITED | os.WNOHANG):
            pass


_LIBC = ctypes.CDLL(None)  # loaded here, not between fork and exec
