"""How much memory a model is counted with: its mapped files once, and what each worker derives from them.

`tests/serving/test_multi_model_cost.py` measures it: what a worker takes is less, by a fifth at most.
"""

from collections.abc import Mapping
from typing import Any

from alsriaz.core.layout import RULES_NAME

_PER_ITEM = 5  # bytes: popularity as float32, and whether the item is new
_PER_RULE = 116  # an id of the standing rules as a Python string in a tuple, while rules are bound, and its position
_PER_WORKER = 128 * 1024  # the parsed manifest and spec, and each file's last page
_IN_64 = 1  # what the allocator keeps between what it gave out
_PAGE = 4096


def model_size(files: Mapping[str, Mapping[str, Any]], rules: bytes, workers: int) -> int:
    """Return the bytes of memory that a model takes once every worker has used all of it.

    Args:
        files: as in the manifest: each file's ``bytes``, by name.
        rules: the text of its standing rules; empty for none.
        workers: how many processes map it.
    """
    sizes: dict[str, int] = {name: entry["bytes"] for name, entry in files.items() if name != RULES_NAME}
    mapped = sum(-(-size // _PAGE) * _PAGE for size in sizes.values())
    items = sizes.get("item_customers.npy", 0) // 4
    ids = rules.count(b'"') // 2
    exact = mapped + workers * (_PER_WORKER + items * _PER_ITEM + ids * _PER_RULE + len(rules))
    return exact + exact * _IN_64 // 64
