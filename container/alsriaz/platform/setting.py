"""A setting is one row: the row names, validates, fills in the default and documents."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from alsriaz.platform.values import Kind


@dataclass(frozen=True)
class Setting:
    """One setting of a training run or of the server.

    Attributes:
        name: its key in als_spec.json or hyperparameters.json, or its environment variable.
        kind: what its value may be.
        default: the value where the caller says nothing.
        meaning: one line for docs/settings.md.
        aliases: other accepted spellings of the name.
    """

    name: str
    kind: Kind[Any]
    default: Any
    meaning: str
    aliases: tuple[str, ...] = ()


def markdown_table(rows: Iterable[Setting]) -> str:
    """Return `rows` as a Markdown table for docs/settings.md, in their order, each line ended."""
    lines = ["| name | default | expected | meaning |", "|---|---|---|---|"]
    for row in rows:
        names = " or ".join(f"`{name}`" for name in (row.name, *row.aliases))
        default = row.default if isinstance(row.default, str) else json.dumps(row.default)
        cells = (names, "none" if row.default in (None, (), {}) else f"`{default}`", row.kind.expected, row.meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
