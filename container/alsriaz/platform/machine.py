"""The cores and the memory that this process may use: the machine's, less what its control groups take away.

A container sees the host's cores and memory in the usual places; its share stands in the cgroup file system alone.
Version 1 has one tree per controller, version 2 one tree for all, and a machine may have both mounted. A limit on any
group from the process's own up to the root of the mount counts. Sources: kernel documentation, cgroup-v1/memory.rst,
scheduler/sched-bwc.rst, cgroup-v2.rst; proc_pid_mountinfo(5).
"""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_ROOT = Path("/")


def available_cores(root: Path = _ROOT, scheduled: int | None = None) -> int:
    """Return how many cores this process may keep busy, at least 1.

    A quota of one core and a half counts as 2, so that none of it lies idle. `root` is where the file system begins;
    `scheduled` is how many cores the scheduler grants, None asks it.
    """
    cores = float(_scheduled() if scheduled is None else scheduled)
    for version, folder in _groups("cpu", root):
        names = ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        found = [number for name in names for number in _numbers(folder / name)]
        if len(found) == 2:  # one of the two is missing where there is no quota
            cores = min(cores, found[0] / found[1])
    return max(1, math.ceil(cores))


def memory_limit(root: Path = _ROOT) -> int:
    """Return how many bytes of memory this process may use: the least of all its groups' limits and the machine's."""
    limits = [_physical_memory(root)]
    for version, folder in _groups("memory", root):
        limits += _numbers(folder / ("memory.max" if version == 2 else "memory.limit_in_bytes"))[:1]
    return min(limits)


def _groups(controller: str, root: Path) -> Iterator[tuple[int, Path]]:
    """Yield the groups that hold this process for `controller`: version and folder, its own first, up to the top."""
    paths: dict[str, PurePosixPath] = {}  # by controller of version 1, and under "" that of version 2
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        paths |= dict.fromkeys(controllers.split(","), PurePosixPath(path))
    for line in _lines(root / "proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        kind, _, options = right.partition(" ")
        if kind == "cgroup2":
            version, own = 2, paths.get("")
        elif kind == "cgroup" and controller in options.split()[-1].split(","):
            version, own = 1, paths.get(controller)
        else:
            continue
        if own is None:
            continue
        top, folder = (_unescaped(field) for field in left.split()[3:5])  # the group that stands at the mounted folder
        # A path outside the mount's top belongs to another namespace, of which nothing but the top can be seen.
        below = own.relative_to(top) if own.is_relative_to(top) else PurePosixPath()
        for part in (below, *below.parents):
            yield version, root / folder.lstrip("/") / part


def _unescaped(field: str) -> str:
    r"""Return a field of mountinfo with its blanks again: the kernel writes them as ``\040``."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _numbers(path: Path) -> list[int]:
    """Return the positive whole numbers of a file's first line; "max", -1 and a missing file give none."""
    return [int(word) for line in _lines(path)[:1] for word in line.split() if word.isdecimal() and int(word) > 0]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []  # not Linux, not mounted, or not ours to read: no limit that we could know


def _scheduled() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _physical_memory(root: Path) -> int:
    for line in _lines(root / "proc/meminfo"):
        name, _, amount = line.partition(":")
        if name == "MemTotal":
            return int(amount.split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
