"""What every test run shares: where Online Retail is, what to do without it, and an environment of its own."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

ONLINE_RETAIL = "ALSRIAZ_ONLINE_RETAIL"
FILES = ("online_retail.csv.gz", "online_retail_pipe.csv.gz")
LEFT_OUT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fail-if-left-out",
        action="store_true",
        help=f"fail where a test is skipped, expected to fail, or left out for want of {ONLINE_RETAIL}",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = 0
    folder = os.environ.get(ONLINE_RETAIL)
    missing = [name for name in FILES if folder and not Path(folder, name).is_file()]
    if missing:
        raise pytest.UsageError(
            f"{ONLINE_RETAIL} is {folder!r}, but there is no {' and no '.join(missing)} in it; "
            "give the folder that holds both files, or unset it to leave out the tests on Online Retail"
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get(ONLINE_RETAIL):
        return
    left_out = [item for item in items if item.get_closest_marker("online_retail")]
    items[:] = [item for item in items if item not in set(left_out)]
    config.stash[LEFT_OUT] = len(left_out)
    if left_out:
        config.hook.pytest_deselected(items=left_out)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--fail-if-left-out") and not_run(session.config) and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, None, None]:
    """Say last, after pytest's own summary, what was not tested."""
    yield
    if left_out := config.stash[LEFT_OUT]:
        terminalreporter.write_line(
            f"left out: {left_out} on Online Retail; set {ONLINE_RETAIL} to the folder that holds {FILES[0]}"
        )
    if config.getoption("--fail-if-left-out") and (count := not_run(config)):
        terminalreporter.write_line(f"--fail-if-left-out: {count} left out, skipped or xfailed", red=True)


def not_run(config: pytest.Config) -> int:
    """Return how many tests told nothing: left out here, skipped, or expected to fail."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    seen = reporter.stats if reporter else {}
    return config.stash[LEFT_OUT] + len(seen.get("skipped", [])) + len(seen.get("xfailed", []))


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> Generator[None, None, None]:
    """Hide the caller's settings from the tests, and from the processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("ALSRIAZ_", "SAGEMAKER_")) and name != ONLINE_RETAIL:
                patch.delenv(name)
        yield
