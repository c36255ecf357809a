"""A poller that ends is started again, and none is left running. Real processes."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from alsriaz.errors import SpecError
from alsriaz.serving import supervisor
from alsriaz.serving.live_rules.following import RulesFolder, Status
from alsriaz.serving.live_rules.sources import S3Location, parse_location
from alsriaz.serving.supervisor import check_location, first_look, keep_polling
from tests.serving.serving_process import PATIENCE, alive

SLEEPER = """
import pathlib, os, time
pathlib.Path("begun").open("a").write(f"{os.getpid()}\\n")
time.sleep(600)
"""


def begun(folder: Path) -> list[int]:
    """Return the pids of all pollers so far."""
    path = folder / "begun"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


async def until_begun(folder: Path, count: int) -> int:
    deadline = time.monotonic() + PATIENCE
    while len(begun(folder)) < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    return begun(folder)[-1]


@contextlib.asynccontextmanager
async def keeping(folder: Path, *command: str, pauses: tuple[float, float] = (0.05, 0.2)):  # type: ignore[no-untyped-def]
    task = asyncio.create_task(keep_polling(os.environ, str(folder), command, pauses))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_a_poller_that_is_killed_is_started_again_and_the_last_one_ends_with_us(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> list[int]:
        async with keeping(tmp_path, sys.executable, "-c", SLEEPER):
            os.kill(await until_begun(tmp_path, 1), signal.SIGKILL)
            assert alive(await until_begun(tmp_path, 2))
        return begun(tmp_path)

    pids = asyncio.run(run())
    assert len(set(pids)) == 2
    assert not any(alive(pid) for pid in pids)
    told = (
        "the poller of live rules ended with status 137, unasked: another one starts in 0 s; the last good rules stay"
    )
    assert [record.getMessage() for record in caplog.records] == [told]


def test_pauses_grow_where_each_one_ends_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with keeping(tmp_path, sys.executable, "-c", "raise SystemExit(3)", pauses=(0.3, 1.0)):
            deadline = time.monotonic() + PATIENCE
            while len(caplog.records) < 4:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)

    asyncio.run(run())
    assert "ended with status 3, unasked" in caplog.text
    assert [record.args[1] for record in caplog.records if isinstance(record.args, tuple)][:4] == [0.3, 0.6, 1.0, 1.0]


def test_a_poller_that_can_not_be_started_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with keeping(tmp_path, str(tmp_path / "nothing")):
            deadline = time.monotonic() + PATIENCE
            while len(caplog.records) < 2:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)

    asyncio.run(run())
    assert "the poller of live rules can't be started (No such file or directory): another one starts" in caplog.text


def test_serving_waits_for_the_first_look(tmp_path: Path) -> None:
    async def run() -> bool:
        waiting = asyncio.create_task(first_look(tmp_path))
        await asyncio.sleep(0.2)
        too_early = waiting.done()
        RulesFolder(tmp_path).write_status(Status(checked=1000.0, error="It has gone."))
        await asyncio.wait_for(waiting, PATIENCE)
        return too_early

    assert not asyncio.run(run())


def test_serving_starts_without_a_look_that_takes_too_long(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(first_look(tmp_path, 0.1))
    assert [record.getMessage() for record in caplog.records] == [
        "live rules have not been looked for within 0 s: serving starts without, the model's standing rules hold alone "
        "until then"
    ]


def test_rules_on_s3_need_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    check_location(None)
    check_location(S3Location("shop", "rules.json"))
    monkeypatch.setattr(supervisor, "_S3_CLIENT", "boto3_that_is_not_there")
    check_location(parse_location("/data/rules.json"))
    message = (
        "ALSRIAZ_RULES_URI is s3://shop/rules.json, but boto3 is not installed: pip install boto3, or name a file."
    )
    with pytest.raises(SpecError) as caught:
        check_location(S3Location("shop", "rules.json"))
    assert str(caught.value) == message
