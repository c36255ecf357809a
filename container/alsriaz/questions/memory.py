"""How much memory a model is counted with: its mapped files once, and what each worker derives from them.

`tests/questions/test_memory.py` measures it: what a worker takes is less, by a fifth at most.
"""

from collections.abc import Mapping
from typing import Any

from alsriaz.model.attributes import TEXT_SIGNPOSTS
from alsriaz.model.ids import SIGNPOSTS
from alsriaz.platform.layout import RULES_NAME
from alsriaz.rules.side import most_cached_bytes

_PER_ITEM = 17  # bytes: popularity as float32, whether the item is new, its factors' norm, and its inverse as float32
_PER_CUSTOMER = 9  # its factors' norm, and that it is not new
_PER_SIGNPOST = 41  # an id as Python bytes without its text, and the place in a list
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
    customers = max(0, sizes.get("purchase_offsets.npy", 0) // 8 - 1)
    derived = items * _PER_ITEM + customers * _PER_CUSTOMER + ids * _PER_RULE + len(rules)
    exact = mapped + workers * (_PER_WORKER + derived + _of_texts(sizes) + _of_masks(sizes))
    return exact + exact * _IN_64 // 64


def _of_texts(sizes: Mapping[str, int]) -> int:
    """Return the bytes of the ids and values that each worker keeps as Python objects."""
    total = 0
    for name, size in sizes.items():
        if name.endswith("_text.npy"):
            count = max(1, sizes.get(name.replace("_text", "_offsets"), 0) // 8 - 1)
            kept = min(count, TEXT_SIGNPOSTS if name.startswith("attribute_") else SIGNPOSTS)
            total += kept * (_PER_SIGNPOST + size // count)
    return total


def _of_masks(sizes: Mapping[str, int]) -> int:
    """Return the bytes of the conditions and their masks that each worker may cache."""
    codes = [size for name, size in sizes.items() if name.endswith("_codes.npy")]
    return most_cached_bytes(codes[0] // 4) if codes else 0
