from pathlib import Path

import pytest

from alsriaz.platform.machine import available_cores, memory_limit

GB = 2**30
NO_LIMIT_V1 = 9_223_372_036_854_771_712  # what version 1 says for "none": the largest number of whole pages

V2 = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1_CPU = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct"
V1_MEMORY = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
V1_SYSTEMD = "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd"
DOCKER_MEMORY = "35 31 0:32 /docker/ab12 /sys/fs/cgroup/memory ro,relatime - cgroup cgroup rw,memory"
DOCKER_CPU = "32 31 0:29 /docker/ab12 /sys/fs/cgroup/cpu ro,relatime - cgroup cgroup rw,cpu"
DISK = "25 1 254:0 / / rw,relatime - ext4 /dev/vda rw"


def machine(
    root: Path, *, mounts: list[str], own: str, files: dict[str, str], memory_kb: int | None = 8 * 2**20
) -> Path:
    """Lay out the part of a file system that tells a process about its cores and its memory."""
    proc = root / "proc/self"
    proc.mkdir(parents=True)
    (proc / "mountinfo").write_text("".join(f"{mount}\n" for mount in [DISK, *mounts]))
    (proc / "cgroup").write_text("".join(f"{line}\n" for line in own.split()))
    if memory_kb is not None:
        (root / "proc/meminfo").write_text(f"MemTotal:       {memory_kb} kB\nMemFree:        1024 kB\n")
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


CORES = [
    # mounts, own, files, expected of 8 cores, why
    ([], "", {}, 8, "no cgroup at all leaves the scheduler's cores"),
    ([V2], "0::/", {"cpu.max": "200000 100000\n"}, 2, "version 2 in a container: its own group is the root"),
    ([V2], "0::/", {"cpu.max": "max 100000\n"}, 8, "version 2 says max for no quota"),
    ([V2], "0::/", {}, 8, "the root group of a host has no cpu.max"),
    ([V2], "0::/", {"cpu.max": "50000 100000\n"}, 1, "half a core is at least one"),
    ([V2], "0::/", {"cpu.max": "150000 100000\n"}, 2, "a core and a half keeps two busy"),
    ([V2], "0::/", {"cpu.max": "1600000 100000\n"}, 8, "a quota above the scheduler's cores grants no more of them"),
    (
        [V2],
        "0::/shop.slice/serve.scope",
        {"shop.slice/cpu.max": "300000 100000", "shop.slice/serve.scope/cpu.max": "max 100000"},
        3,
        "an ancestor's quota holds for the process",
    ),
    (
        [V2],
        "0::/shop.slice/serve.scope",
        {"shop.slice/cpu.max": "300000 100000", "shop.slice/serve.scope/cpu.max": "100000 100000"},
        1,
        "the least quota on the way up counts",
    ),
    (
        [V2],
        "0::/shop.slice",
        {"shop.slice/cpu.max": "max 100000", "other.slice/cpu.max": "100000 100000"},
        8,
        "a sibling's quota is not ours",
    ),
    (
        [V1_CPU],
        "3:cpuacct,cpu:/",
        {"cpu,cpuacct/cpu.cfs_quota_us": "400000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
        4,
        "version 1, two controllers on one mount",
    ),
    (
        [V1_CPU],
        "3:cpu,cpuacct:/",
        {"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
        8,
        "version 1 says -1 for no quota",
    ),
    (
        [DOCKER_CPU],
        "3:cpu:/docker/ab12",
        {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"},
        2,
        "version 1 in a container without a cgroup namespace: the mount's top is the process's own group",
    ),
    (
        [DOCKER_CPU],
        "3:cpu:/elsewhere/cd34",
        {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"},
        2,
        "a group that is not below the mount's top: the mount's top is all there is to see",
    ),
    (
        [V1_SYSTEMD, V1_MEMORY],
        "1:name=systemd:/ 4:memory:/",
        {"systemd/cpu.cfs_quota_us": "100000", "systemd/cpu.cfs_period_us": "100000"},
        8,
        "a mount without the cpu controller says nothing about cores",
    ),
    (
        [V1_CPU, V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified")],
        "3:cpu,cpuacct:/ 0::/",
        {"cpu,cpuacct/cpu.cfs_quota_us": "200000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
        2,
        "both versions mounted, the quota in version 1",
    ),
    (
        [V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/my\\040groups")],
        "0::/",
        {"my groups/cpu.max": "100000 100000"},
        1,
        "a blank in a mount's path is written as an octal escape",
    ),
    ([V2], "0::/", {"cpu.max": "some nonsense\n"}, 8, "a file in no form we know is no quota"),
    ([V2], "0::/", {"cpu.max": ""}, 8, "an empty file is no quota"),
]


@pytest.mark.parametrize(
    ("mounts", "own", "files", "expected"), [row[:4] for row in CORES], ids=[row[4] for row in CORES]
)
def test_cores(tmp_path: Path, mounts: list[str], own: str, files: dict[str, str], expected: int) -> None:
    root = machine(tmp_path, mounts=mounts, own=own, files=files)
    assert available_cores(root, scheduled=8) == expected


MEMORY = [
    # mounts, own, files, expected in bytes where the machine has 8 GB, why
    ([], "", {}, 8 * GB, "no cgroup at all leaves the machine's memory"),
    ([V2], "0::/", {"memory.max": f"{2 * GB}\n"}, 2 * GB, "version 2 in a container"),
    ([V2], "0::/", {"memory.max": "max\n"}, 8 * GB, "version 2 says max for no limit"),
    ([V2], "0::/", {"memory.max": f"{64 * GB}\n"}, 8 * GB, "no limit gives more than the machine has"),
    (
        [V2],
        "0::/pod/serve",
        {"pod/memory.max": f"{3 * GB}", "pod/serve/memory.max": "max"},
        3 * GB,
        "an ancestor's limit holds for the process",
    ),
    ([V1_MEMORY], "4:memory:/", {"memory/memory.limit_in_bytes": f"{GB}\n"}, GB, "version 1 in a container"),
    (
        [V1_MEMORY],
        "4:memory:/",
        {"memory/memory.limit_in_bytes": f"{NO_LIMIT_V1}\n"},
        8 * GB,
        "version 1 says a huge number for no limit",
    ),
    (
        [V1_MEMORY],
        "4:memory:/api/e782",
        {
            "memory/memory.limit_in_bytes": f"{NO_LIMIT_V1}",
            "memory/api/memory.limit_in_bytes": f"{5 * GB}",
            "memory/api/e782/memory.limit_in_bytes": f"{6 * GB}",
        },
        5 * GB,
        "version 1, nested: the least on the way up",
    ),
    (
        [DOCKER_MEMORY],
        "4:memory:/docker/ab12",
        {"memory/memory.limit_in_bytes": f"{GB}"},
        GB,
        "version 1 in a container without a cgroup namespace",
    ),
    (
        [V1_MEMORY],
        "4:memory:/gone/away",
        {"memory/memory.limit_in_bytes": f"{GB}"},
        GB,
        "a group whose folder can't be seen, below one that can",
    ),
]


@pytest.mark.parametrize(
    ("mounts", "own", "files", "expected"), [row[:4] for row in MEMORY], ids=[row[4] for row in MEMORY]
)
def test_memory(tmp_path: Path, mounts: list[str], own: str, files: dict[str, str], expected: int) -> None:
    assert memory_limit(machine(tmp_path, mounts=mounts, own=own, files=files)) == expected


def test_memory_without_meminfo_is_what_the_system_says(tmp_path: Path) -> None:
    root = machine(tmp_path, mounts=[V2], own="0::/", files={"memory.max": "1048576"}, memory_kb=None)
    assert memory_limit(root) == 1_048_576
    (root / "sys/fs/cgroup/memory.max").unlink()
    assert memory_limit(root) >= memory_limit()


def test_of_this_machine() -> None:
    assert available_cores() >= 1
    assert available_cores(scheduled=1) == 1
    assert memory_limit() > 2**20
