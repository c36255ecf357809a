"""Writes the tables of rules in docs/http-api.md from the rows in the code; run it after a rule was changed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "container"))

from alsriaz.questions.tasks import TASKS
from alsriaz.rules.rows import RULES

PAGE = Path(__file__).with_name("http-api.md")
MEANINGS = ("<!-- rules, by docs/make_rules.py -->\n", "<!-- end of the rules -->\n")
TASKS_OF_RULES = ("<!-- rules and tasks, by docs/make_rules.py -->\n", "<!-- end of the rules and tasks -->\n")
COLUMNS = {"score": "score, by score"}
"""What the page calls a task in which rules hold for a part of its questions."""


def page(text: str) -> str:
    """Return what docs/http-api.md should be, `text` being what it is."""
    return _put(_put(text, MEANINGS, meanings()), TASKS_OF_RULES, tasks_of_rules())


def meanings() -> str:
    """Return the table of what each rule means, and of how its layers join."""
    rows = [f"| `{rule.path}` | {rule.meaning} | {rule.join.value} |" for rule in RULES]
    return "\n".join(["| rule | meaning | layers |", "|---|---|---|", *rows]) + "\n"


def tasks_of_rules() -> str:
    """Return the table of which rules hold where; output.csv is made under all of them."""
    tasks = [task for task in TASKS if any(task in rule.tasks for rule in RULES)]
    header = ["rule", *(COLUMNS.get(task, task) for task in tasks), "output.csv"]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for rule in RULES:
        held = ["yes" if task in rule.tasks else "" for task in tasks]
        lines.append("|" + "|".join(f" {cell} " if cell else " " for cell in [f"`{rule.path}`", *held, "yes"]) + "|")
    return "\n".join(lines) + "\n"


def _put(text: str, marks: tuple[str, str], table: str) -> str:
    before, _, rest = text.partition(marks[0])
    return before + marks[0] + table + marks[1] + rest.partition(marks[1])[2]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
