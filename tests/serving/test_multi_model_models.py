"""The models of a server without a server: two workers' views of one folder, in one process."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from alsriaz.errors import RequestError, SpecError
from alsriaz.model.folder import open_model
from alsriaz.model.manifest import read_manifest
from alsriaz.platform.layout import Layout
from alsriaz.platform.machine import memory_limit
from alsriaz.questions.memory import model_size
from alsriaz.serving.live_rules.following import NO_LIVE_RULES
from alsriaz.serving.multi_model.models import Models
from alsriaz.serving.settings import read_settings
from tests.model.test_packed import pack
from tests.serving.multi_model_platform import write_shop
from tests.small_models import shop

Counts = dict[str, int]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(4):
        write_shop(tmp_path / "models" / f"m{number}", number)
    (tmp_path / "m").mkdir()
    return tmp_path


@pytest.fixture
def counts() -> Counts:
    return {"load": 0, "unload": 0, "eviction": 0}


@pytest.fixture
def worker(root: Path, counts: Counts) -> Iterator[Callable[..., Models]]:
    """Makes a worker; `room` is for how many of the models there is memory: all four take the same number of pages."""
    one = model_size(read_manifest(root / "models" / "m0").files, b"", workers=2)

    made: list[Models] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            for models in list(made):
                models._pool.drop_gone()

    def make(room: float = 9, timeout: int = 60, max_k: int = 1000) -> Models:
        settings = replace(read_settings({"ALSRIAZ_WORKERS": "2"}), timeout_seconds=timeout, max_k=max_k)
        memory = replace(settings, models_memory_mb=room * one / 2**20)  # type: ignore[arg-type]

        def count(event: str) -> None:
            counts[event] += 1

        models = Models(root / "m", Layout(root), memory, NO_LIVE_RULES, count)
        made.append(models)
        return models

    watching = threading.Thread(target=watch)  # as each worker does for itself
    watching.start()
    yield make
    over.set()
    watching.join()


def url(root: Path, number: int) -> str:
    return str(root / "models" / f"m{number}")


def loaded(models: Models) -> list[str]:
    return [entry.name for entry in models.page(None)[0]]


def asked(models: Models, target: str) -> str:
    """Return the hash of the model that a request with this target is answered by."""
    lease = models.lease_target(target)
    try:
        return lease.recommender.model_hash
    finally:
        lease.release()


def test_what_one_worker_loads_the_other_answers_from(root: Path, worker: Callable[..., Models]) -> None:
    first, second = worker(), worker()
    entry = first.load("shop", url(root, 1))
    lease = second.lease("shop")
    assert lease.recommender.model_hash == entry.model == open_model(root / "models" / "m1").manifest.short_hash
    lease.release()
    second.unload("shop")
    with pytest.raises(RequestError, match="No model named 'shop' is loaded"):
        first.lease("shop")


def test_a_lease_outlives_its_model_and_says_when_it_has_ended(root: Path, worker: Callable[..., Models]) -> None:
    models = worker(timeout=1)
    models.load("shop", url(root, 1))
    lease = models.lease("shop")
    models.unload("shop")
    assert lease.recommender.model_hash
    lease.release()
    lease.release()
    with pytest.raises(ValueError, match="the lease has ended"):
        lease.recommender  # noqa: B018


def test_unloading_waits_for_a_lease(root: Path, worker: Callable[..., Models]) -> None:
    first, second = worker(timeout=120), worker()
    first.load("shop", url(root, 1))
    lease = second.lease("shop")
    unloading = threading.Thread(target=first.unload, args=("shop",))
    unloading.start()
    unloading.join(0.2)
    assert unloading.is_alive()
    lease.release()
    unloading.join(60)
    assert not unloading.is_alive()


def test_on_demand_the_least_used_makes_room(worker: Callable[..., Models], counts: Counts) -> None:
    first, second = worker(room=2), worker(room=2)
    hashes = [asked(first, target) for target in ("m0", "m1")]
    assert asked(second, "m0") == hashes[0]
    asked(second, "m2")
    assert loaded(first) == ["m0", "m2"]
    assert asked(first, "m1") == hashes[1]
    assert loaded(first) == ["m1", "m2"]
    assert counts == {"load": 4, "unload": 0, "eviction": 2}


def test_the_platform_s_models_stay_and_nothing_is_evicted_in_vain(root: Path, worker: Callable[..., Models]) -> None:
    models = worker(room=2)
    models.load("shop", url(root, 0))
    asked(models, "m1")
    models.load("other", url(root, 2))
    assert loaded(models) == ["other", "shop"]
    for attempt in (lambda: models.load("third", url(root, 3)), lambda: models.lease_target("m1")):
        with pytest.raises(RequestError) as caught:
            attempt()
        assert caught.value.code == "out_of_memory"
    assert loaded(models) == ["other", "shop"]


def test_what_is_larger_than_all_memory_evicts_nothing(worker: Callable[..., Models]) -> None:
    asked(worker(), "m0")
    models = worker(room=0.5)
    with pytest.raises(RequestError, match=r"Model 'm1' takes 0\.3 MB in 2 workers, and 0\.0 of 0\.2 MB are taken"):
        models.lease_target("m1")
    assert loaded(models) == ["m0"]


def test_many_requests_for_one_target_load_it_once(worker: Callable[..., Models], counts: Counts) -> None:
    workers = [worker(), worker()]
    with ThreadPoolExecutor(8) as pool:
        hashes = set(pool.map(lambda number: asked(workers[number % 2], "m0"), range(24)))
    assert len(hashes) == 1
    assert counts["load"] == 1


def test_many_requests_for_many_targets_in_little_memory(root: Path, worker: Callable[..., Models]) -> None:
    workers = [worker(room=2), worker(room=2)]
    right = [open_model(root / "models" / f"m{number}").manifest.short_hash for number in range(4)]
    with ThreadPoolExecutor(8) as pool:
        hashes = list(pool.map(lambda number: asked(workers[number % 2], f"m{number % 4}"), range(80)))
    assert hashes == [right[number % 4] for number in range(80)]
    assert len(loaded(workers[0])) <= 2


@contextlib.contextmanager
def slow(root: Path, name: str) -> Iterator[Callable[[], None]]:
    """A model whose load hangs, as on a slow disk, before it reads the largest file, until one lets it go on."""
    factors = root / "models" / name / "item_factors.npy"
    hangs = threading.Event()
    real = Path.open

    def waits(path: Path, *arguments: object, **options: object) -> object:
        if path == factors:
            assert hangs.wait(60)
        return real(path, *arguments, **options)  # type: ignore[call-overload]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", waits)
        yield hangs.set
        hangs.set()


def test_a_target_that_is_long_in_coming(root: Path, worker: Callable[..., Models], counts: Counts) -> None:
    first, second = worker(timeout=1), worker(timeout=1)
    with slow(root, "m0") as go_on, ThreadPoolExecutor(4) as pool:
        began = time.monotonic()
        asking = [pool.submit(models.lease_target, "m0") for models in (first, second, first, second)]
        for one in asking:
            with pytest.raises(RequestError, match=r"Model 'm0' was not loaded in 0\.75 seconds: try again") as caught:
                one.result()
            assert caught.value.code == "no_model"
        assert time.monotonic() - began < 10, "in its own time limit, while the load goes on"
        with pytest.raises(RequestError, match="is being loaded"):
            second.load("m0", url(root, 1))
        with pytest.raises(RequestError, match="No model named 'm0' is loaded"):
            second.unload("m0")
        go_on()
    until_loaded(first, "m0")
    assert asked(second, "m0")
    assert counts["load"] == 1, "which nobody began again"


def until_loaded(models: Models, name: str) -> None:
    deadline = time.monotonic() + 60
    while name not in loaded(models):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_a_load_meets_is_told_to_all_who_wait_for_it(root: Path, worker: Callable[..., Models]) -> None:
    models = worker()
    (root / "models" / "m0" / "item_gram.npy").unlink()
    with slow(root, "m0") as go_on, ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(models.lease_target, "m0") for _ in range(4)]
        time.sleep(0.1)
        go_on()
        for one in asking:
            with pytest.raises(RequestError, match="item_gram.npy is missing") as caught:
                one.result()
            assert (caught.value.code, caught.value.field) == ("unusable_model", None)


def test_an_archive_is_unpacked_for_as_long_as_it_is_loaded(root: Path, worker: Callable[..., Models]) -> None:
    models = worker()
    pack(root / "models" / "m0", root / "models" / "sales.tar.gz")
    assert asked(models, "sales.tar.gz") == open_model(root / "models" / "m0").manifest.short_hash
    assert len(left_behind(root)) == 1
    models.unload("sales.tar.gz")
    assert left_behind(root) == []


def left_behind(root: Path) -> list[str]:
    """Return what there is of models where the workers meet."""
    return [name for name in os.listdir(root / "m") if name != "lock"]


@pytest.mark.parametrize("what", ["item_gram.npy", "manifest.json"], ids=["cut", "without a manifest"])
def test_nothing_is_left_of_an_archive_that_can_not_be_used(
    root: Path, worker: Callable[..., Models], what: str
) -> None:
    models = worker()
    (root / "models" / "m0" / what).unlink()
    pack(root / "models" / "m0", root / "models" / "sales.tar.gz")
    with pytest.raises(RequestError, match=what) as caught:
        models.lease_target("sales.tar.gz")
    assert (caught.value.code, caught.value.field) == ("unusable_model", None)
    assert left_behind(root) == []
    assert models.totals() == (0, 0)


def test_loads_and_evictions_stand_in_the_log(
    root: Path, worker: Callable[..., Models], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "alsriaz")
    models = worker(room=1)
    asked(models, "m0")
    models.load("shop", url(root, 1))
    first, second, third = (record.getMessage() for record in caplog.records)
    assert first.startswith("loaded model 'm0' (")
    assert second == "model 'm0' made room for 'shop'"
    assert third.startswith("loaded model 'shop' (")


SETTINGS = [
    ({"SAGEMAKER_MULTI_MODEL": "true"}, True, "as the platform sets it"),
    ({"SAGEMAKER_MULTI_MODEL": "True"}, True, "as Python writes it"),
    ({"SAGEMAKER_MULTI_MODEL": " false "}, False, "set, and off"),
    ({"SAGEMAKER_MULTI_MODEL": ""}, False, "empty counts as not set"),
    ({}, False, "not set"),
]


@pytest.mark.parametrize(("environ", "expected", "why"), SETTINGS, ids=[why for *_, why in SETTINGS])
def test_the_mode_is_a_setting(environ: dict[str, str], expected: bool, why: str) -> None:
    assert read_settings(environ).multi_model is expected


BAD_SETTINGS = [
    ("SAGEMAKER_MULTI_MODEL", "maybe", "'maybe', expected true or false"),
    ("ALSRIAZ_MODELS_MEMORY_MB", "0", "'0', expected a whole number from 1 to 16777216"),
    ("ALSRIAZ_MODELS_MEMORY_MB", "2g", "'2g', expected a whole number from 1 to 16777216"),
]


@pytest.mark.parametrize(("name", "value", "words"), BAD_SETTINGS, ids=[f"{n}={v}" for n, v, _ in BAD_SETTINGS])
def test_settings_that_are_refused(name: str, value: str, words: str) -> None:
    with pytest.raises(SpecError, match=f"The environment variable {name} is {words}"):
        read_settings({name: value})


def test_models_may_take_a_share_of_the_memory_there_is() -> None:
    assert read_settings({}).models_memory_mb == int(0.6 * memory_limit() / 2**20)
    assert read_settings({"ALSRIAZ_MODELS_MEMORY_MB": "77"}).models_memory_mb == 77


def test_how_long_things_may_take_follows_from_the_time_limit_of_a_request() -> None:
    def seconds(timeout: str) -> tuple[float, float, float]:
        settings = read_settings({"ALSRIAZ_TIMEOUT_SECONDS": timeout})
        return settings.load_seconds, settings.wait_seconds, settings.unload_seconds

    assert seconds("2") == (360, 1.5, 1.0)
    assert seconds("60") == (360, 58.0, 30.0)
    assert seconds("900") == (900, 898.0, 30.0)


def test_a_model_whose_rules_no_list_has_room_for_is_not_loaded(root: Path, worker: Callable[..., Models]) -> None:
    shop(standing={"include": {"items": ["apple", "bread"]}}).write(root / "models" / "crowded")
    models = worker(max_k=1)
    with pytest.raises(RequestError, match="ALSRIAZ_MAX_K is 1, but the model's rules.json has 2 items") as caught:
        models.load("crowded", str(root / "models" / "crowded"))
    assert caught.value.code == "unusable_model"
    assert models.totals() == (0, 0)
