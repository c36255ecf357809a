"""What every test run shares: what it needs of this machine, what to do without, and an environment of its own."""

import os
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

ONLINE_RETAIL = "ALSRIAZ_ONLINE_RETAIL"
# For the many short jobs of this machine: java compiles only roughly and has no threads that collect garbage beside the
# work. It computes the same, bit by bit, in two thirds of the CPU time. The image's java is as its users have it.
JAVA_FOR_SHORT_JOBS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
FILES = ("online_retail.csv.gz", "online_retail_pipe.csv.gz")
IMAGE_TESTS = "ALSRIAZ_IMAGE_TESTS"
LEFT_OUT = pytest.StashKey[dict[str, int]]()  # how many, by what is missing
SLOW = ("process", "spark", "online_retail")
TOGETHER = (
    # Not at the same time: both SDKs make and remove the network sagemaker-local.
    ("tests/image/test_sdk2.py", "tests/image/test_sdk3.py"),
    # By one Spark.
    ("tests/training/test_explain_parity.py", "tests/training/test_spark_engine.py"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fail-if-left-out",
        action="store_true",
        help=f"fail where a test is skipped, expected to fail, or left out for want of {ONLINE_RETAIL} or Docker",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = {}
    config.addinivalue_line("markers", "image: runs the image, and so needs a Docker Engine")
    folder = os.environ.get(ONLINE_RETAIL)
    missing = [name for name in FILES if folder and not Path(folder, name).is_file()]
    if missing:
        raise pytest.UsageError(
            f"{ONLINE_RETAIL} is {folder!r}, but there is no {' and no '.join(missing)} in it; "
            "give the folder that holds both files, or unset it to leave out the tests on Online Retail"
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not os.environ.get(ONLINE_RETAIL):
        wanted = f"on Online Retail; set {ONLINE_RETAIL} to the folder that holds {FILES[0]}"
        leave_out(config, items, "online_retail", wanted)
    if any(item.get_closest_marker("image") for item in items) and (missing := no_image_tests()):
        leave_out(config, items, "image", f"on the image; {missing}")
    put_long_files_first(items)


def put_long_files_first(items: list[pytest.Item]) -> None:
    """Order files for workers that take one after the other: what needs the image waits a little, for it may be built
    at the same time, and files of quick tests come last, so that all workers end together.
    """
    marks: dict[Path, set[str]] = {}
    for item in items:
        marks.setdefault(item.path, set()).update(mark.name for mark in item.iter_markers())
    items.sort(key=lambda item: 1 if "image" in marks[item.path] else 2 * marks[item.path].isdisjoint(SLOW))


def leave_out(config: pytest.Config, items: list[pytest.Item], marker: str, wanted: str) -> None:
    """Take the tests with `marker` out of `items`, and note how many for the summary."""
    left_out = [item for item in items if item.get_closest_marker(marker)]
    items[:] = [item for item in items if not item.get_closest_marker(marker)]
    if left_out:
        config.stash[LEFT_OUT][wanted] = len(left_out)
        config.hook.pytest_deselected(items=left_out)


def no_image_tests() -> str:
    """Return what would have to be done for the tests on the image; nothing where they can run."""
    if os.environ.get(IMAGE_TESTS, "").lower() == "no":
        return f"unset {IMAGE_TESTS}"
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "install and start a Docker Engine"
    return "start a Docker Engine that this user may use: `docker info` fails" if done.returncode else ""


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash[LEFT_OUT]
    if session.config.getoption("--fail-if-left-out") and not_run(session.config) and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a worker of pytest-xdist one file after the other, in the order of `put_long_files_first`."""
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return next((files[0] for files in TOGETHER if file in files), file)

    config.option.loadscopereorder = False
    return Files(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Note what a worker of pytest-xdist has left out: each has collected the same tests."""
    node.config.stash[LEFT_OUT] |= getattr(node, "workeroutput", {}).get("left_out", {})


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, None, None]:
    """Say last, after pytest's own summary, what was not tested."""
    yield
    for wanted, left_out in config.stash[LEFT_OUT].items():
        terminalreporter.write_line(f"left out: {left_out} {wanted}")
    if config.getoption("--fail-if-left-out") and (count := not_run(config)):
        terminalreporter.write_line(f"--fail-if-left-out: {count} left out, skipped or xfailed", red=True)


def not_run(config: pytest.Config) -> int:
    """Return how many tests told nothing: left out here, skipped, or expected to fail."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    seen = reporter.stats if reporter else {}
    return sum(config.stash[LEFT_OUT].values()) + len(seen.get("skipped", [])) + len(seen.get("xfailed", []))


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> Generator[None, None, None]:
    """Hide the caller's settings from the tests, and from the processes that tests start; start java quickly."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("ALSRIAZ_", "SAGEMAKER_")) and name != ONLINE_RETAIL:
                patch.delenv(name)
        patch.setenv("JAVA_TOOL_OPTIONS", JAVA_FOR_SHORT_JOBS)
        yield
