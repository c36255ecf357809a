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
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_ROOT = Path("/")


def available_cores(root: Path = _ROOT, scheduled: int | None = None) -> int:
    """Return how many cores this process may keep busy, at least 1.

    A quota of one core and a half counts as 2, so that none of it lies idle. `root` is where the file system begins;
    `scheduled` is how many cores the scheduler grants, None asks it.
    """
    cores = float(_scheduled() if scheduled is None else scheduled)
    for group in _groups("cpu", root):
        cores = min(cores, _quota(group))
    return max(1, math.ceil(cores))


def memory_limit(root: Path = _ROOT) -> int:
    """Return how many bytes of memory this process may use: the least of all its groups' limits and the machine's."""
    limits = [_physical_memory(root)]
    for group in _groups("memory", root):
        name = "memory.max" if group.version == 2 else "memory.limit_in_bytes"
        limits += _numbers(group.folder / name)[:1]
    return min(limits)


@dataclass(frozen=True)
class _Group:
    version: int
    folder: Path


@dataclass(frozen=True)
class _Mount:
    version: int
    controllers: frozenset[str]  # version 1 only; a version 2 mount has them all
    top: PurePosixPath  # the group that stands at `folder`
    folder: Path


def _groups(controller: str, root: Path) -> Iterator[_Group]:
    """Yield the groups that hold this process for `controller`, each from the process's own up to the mount's top."""
    paths = _own_paths(root)
    for mount in _mounts(root):
        if mount.version == 1 and controller not in mount.controllers:
            continue
        path = paths.get("" if mount.version == 2 else controller)
        if path is None:
            continue
        # A path that is not below the mount's top is told in the words of another namespace: the mount's top is then
        # all that can be seen of it.
        below = path.relative_to(mount.top) if path.is_relative_to(mount.top) else PurePosixPath()
        for part in (below, *below.parents):
            yield _Group(mount.version, mount.folder / part)


def _own_paths(root: Path) -> dict[str, PurePosixPath]:
    """Return this process's group per controller of version 1, and under "" that of version 2."""
    paths = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = PurePosixPath(path)
    return paths


def _mounts(root: Path) -> Iterator[_Mount]:
    for line in _lines(root / "proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        kind, _, options = right.partition(" ")
        if kind not in ("cgroup", "cgroup2"):
            continue
        top, folder = (_unescaped(field) for field in left.split()[3:5])
        yield _Mount(
            version=2 if kind == "cgroup2" else 1,
            controllers=frozenset(options.split()[-1].split(",")),
            top=PurePosixPath(top),
            folder=root / folder.lstrip("/"),
        )


def _unescaped(field: str) -> str:
    r"""Return a field of mountinfo with its blanks again: the kernel writes them as ``\040``."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _quota(group: _Group) -> float:
    """Return a group's quota in cores; infinity where it has none, which leaves one of the two numbers out."""
    names = ("cpu.max",) if group.version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    found = [number for name in names for number in _numbers(group.folder / name)]
    return found[0] / found[1] if len(found) == 2 else math.inf


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
