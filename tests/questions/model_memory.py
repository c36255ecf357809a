"""Print how many bytes one model takes in this process: `model_memory.py SMALL_MODEL MODEL`.

The small model is used first, so that nothing is counted that any model takes once.
"""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:1] = [str(ROOT / "container"), str(ROOT)]

from alsriaz.errors import CallerError  # noqa: E402
from alsriaz.model.folder import open_model  # noqa: E402
from alsriaz.platform.freed_memory import give_memory_back  # noqa: E402
from alsriaz.questions.question import Limits  # noqa: E402
from alsriaz.questions.recommender import Recommender  # noqa: E402
from alsriaz.questions.shop import Shop  # noqa: E402
from alsriaz.questions.tally import Record, Tally  # noqa: E402


def used(folder: Path) -> tuple[Recommender, int]:
    """Open a model, ask it, and read all that it maps; return it and the bytes of its mapped files."""
    model = open_model(folder)
    recommender = Recommender(Shop(model, Limits()))
    customer = {"customer": model.customer_ids.id_at(0)}
    item = {"item": model.item_ids.id_at(0)}
    asked: list[Record | CallerError] = [customer, customer | {"exclude": {"purchased": True}}, {"task": "popular"}]
    asked += [{"task": "similar"} | item, {"task": "audience"} | item]
    name = next((column.name for column in model.attributes.columns if column.values.kind == "number"), None)
    asked += [{"task": "popular", "exclude": {"where": {name: {"below": bound}}}} for bound in range(70) if name]
    assert all(isinstance(answer, dict) for _, answer in recommender.answers(asked, Tally()))
    for array in vars(model.arrays).values():
        array.view(np.uint8).sum()
    give_memory_back()
    return recommender, mapped_below(folder)


def mapped_below(folder: Path) -> int:
    """Return the resident bytes of this process's mappings of files below `folder`."""
    total, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            ours = bool(rest) and rest[-1].startswith(f"{folder}/")
        elif ours and first == "Rss:":
            total += int(rest[0]) * 1024
    return total


def anonymous() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))


if __name__ == "__main__":
    small, model = map(Path, sys.argv[1:])
    kept = used(small)
    before = anonymous()
    recommender, mapped = used(model)
    print(mapped + anonymous() - before)
