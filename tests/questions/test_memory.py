"""What a model is counted with, against what it takes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alsriaz.model.manifest import read_manifest
from alsriaz.questions.memory import model_size
from benchmarks.many_rules import random_model, write
from benchmarks.worker_memory import write_model
from tests.questions import model_memory
from tests.small_models import shop

MEGABYTE = 2**20
IDS = [f"i{number:07}" for number in range(100_000)]
MODELS: list[tuple[int, dict[str, Any], str]] = [
    (100_000, {}, "mapped factors"),
    (120_000, {"exclude": {"items": IDS}}, "and 100,000 ids of standing rules"),
    (120_000, {"include": {"only": IDS}}, "and 100,000 that alone may appear"),
    (60_000, {"exclude": {"items": [f"a longer id of no item {i}" for i in IDS]}}, "and 100,000 that nobody knows"),
]


@pytest.mark.parametrize(("items", "rules", "why"), MODELS, ids=[why for *_, why in MODELS])
def test_a_model_takes_what_it_is_counted_with_or_a_little_less(
    tmp_path: Path, items: int, rules: dict[str, Any], why: str
) -> None:
    shop().write(tmp_path / "small")
    write_model(tmp_path / "model", items, rules)
    assert_counted(tmp_path)


def assert_counted(root: Path) -> None:
    """Compare what the model in `root` is counted with and what it takes once the small one has been used."""
    command = [sys.executable, model_memory.__file__, str(root / "small"), str(root / "model")]
    takes = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert takes <= counted(root / "model", 1) < 1.2 * takes


def test_attributes_are_counted_with_what_workers_keep_of_them(tmp_path: Path) -> None:
    shop().write(tmp_path / "small")
    write(random_model(np.random.default_rng(1), 60_000), tmp_path / "model")
    assert_counted(tmp_path)


def test_each_worker_adds_what_it_derives_and_nothing_of_what_is_mapped(tmp_path: Path) -> None:
    write_model(tmp_path / "model", 100_000)
    one, four = (counted(tmp_path / "model", workers) for workers in (1, 4))
    assert one > 100_000 * 64 * 4
    assert 3 * 17 * 100_000 < four - one < 3 * 3 * 2**20


def counted(folder: Path, workers: int) -> int:
    rules = folder / "rules.json"
    return model_size(read_manifest(folder).files, rules.read_bytes() if rules.exists() else b"", workers)
