"""The spec: the settings of one training run.

Precedence: built-in default < als_spec.json < hyperparameters.json; null counts as not given. The names are the
reference system's where it had one, its `max_itter` included.
"""

import ast
import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alsriaz.errors import BadValue, SpecError
from alsriaz.platform.days import Day, day_text, parse_day
from alsriaz.platform.json_file import read_object
from alsriaz.platform.limits import MOST_K, MOST_QUANTITY
from alsriaz.platform.setting import Setting
from alsriaz.platform.values import (
    SPELLED_FLAG,
    Kind,
    nearest,
    number,
    one_of,
    optional,
    parse_id,
    shown,
    spelled,
    whole,
)

RANKING_TYPES = ("incident", "count", "total_qty", "normalize_count", "recency")
ENGINES = ("spark",)
"""Each is a module of training/engines, which that room imports by this name."""
DATE_FORMATS = ("yyyymmdd", "iso", "d/m/yyyy", "m/d/yyyy")
COLUMNS = ("customer", "item", "quantity", "date", "price", "invoice", "description")

_MOST_DAYS = 36_500  # a century
_LONGEST_LITERAL = 10_000  # characters; the platform itself lets hyperparameters have 2,500
_IGNORED = re.compile(r"sagemaker_.*|_tuning_objective_metric")


@dataclass(frozen=True)
class Spec:
    """The settings of one training run, each valid by itself and together; `SETTINGS` says what each means."""

    ranking_type: str
    half_life_days: float
    retention_date: Day | None
    retention_days: int | None
    max_itter: int
    reg_param: float
    als_rank: int
    feedback: str
    alpha: float
    nonnegative: bool
    seed: int
    reco_item: int
    group_size: int
    returns: str
    exclude_items: tuple[str, ...]
    min_item_customers: int | None
    max_quantity: float | None
    holdout_days: int
    new_item_days: int
    engine: str
    delimiter: str | None
    columns: Mapping[str, str | int]
    date_format: str | None
    max_bad_rows: float

    @property
    def implicit(self) -> bool:
        """True where ALS learns from implicit feedback (Spark's implicitPrefs)."""
        return self.feedback == "implicit"

    def as_json(self) -> dict[str, Any]:
        """Return the settings as JSON values; `parse_spec` of them is this spec again."""
        date = None if self.retention_date is None else day_text(self.retention_date)
        return dataclasses.asdict(self) | {"exclude_items": list(self.exclude_items), "retention_date": date}


def _retention_date(value: Any) -> Day:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError
    return parse_day(str(value).strip())


def _ids(value: Any) -> tuple[str, ...]:
    if value in (None, ""):
        return ()
    if not isinstance(value, list):
        raise ValueError
    return tuple(dict.fromkeys(parse_id(entry) for entry in value))


def _columns(value: Any) -> dict[str, str | int]:
    if value in (None, ""):
        return {}
    if not isinstance(value, dict) or not value.keys() <= set(COLUMNS):
        raise ValueError
    for column in value.values():
        if not (isinstance(column, str) and column) and not (type(column) is int and column >= 1):
            raise ValueError
    return dict(value)


def _delimiter(value: Any) -> str | None:
    if value in (None, "", "null", "none", "None"):
        return None
    if value not in (",", "|", ";", "\t", "\\t"):
        raise ValueError
    return "\t" if value == "\\t" else str(value)


_DAYS = spelled(whole(0, _MOST_DAYS, "days"))

SETTINGS = (
    Setting(
        "ranking_type",
        one_of(*RANKING_TYPES),
        "count",
        "How purchases become ratings: `incident` (1 per pair), `count` (purchases of the pair), `total_qty` (sum of "
        "quantity), `normalize_count` (count / number of customers who bought the item), `recency` (count, each "
        "purchase halving every `half_life_days` before the window's last day).",
    ),
    Setting(
        "half_life_days",
        spelled(number(0.001, _MOST_DAYS, expected=f"a number of days from 0.001 to {_MOST_DAYS}")),
        90.0,
        "For `recency`: the age at which a purchase counts half.",
    ),
    Setting(
        "retention_date",
        optional(Kind("a day as yyyymmdd or yyyy-mm-dd", _retention_date)),
        None,
        "The last day of the window. A day after the data's last day means the data's last day, with a warning.",
    ),
    Setting(
        "retention_days",
        optional(spelled(whole(1, _MOST_DAYS, "days"))),
        None,
        "The window's length, its last day included. Without `retention_date` the window ends at the data's last day.",
    ),
    Setting("max_itter", spelled(whole(1, 1000)), 10, "Spark's maxIter.", ("max_iter",)),
    Setting(
        "reg_param",
        spelled(number(0, 1e6, above=True, expected="a number above 0, at most 1000000")),
        0.1,
        "Spark's regParam.",
    ),
    Setting("als_rank", spelled(whole(1, 1000)), 32, "Spark's rank: the number of factors."),
    Setting(
        "feedback",
        one_of("implicit", "explicit", expected="implicit or explicit"),
        "implicit",
        "`implicit`: ratings are confidence that the customer likes the item (Spark's implicitPrefs). `explicit`: "
        "ratings are what is to be predicted.",
    ),
    Setting(
        "alpha",
        spelled(number(0, 1e6, expected="a number from 0 to 1000000")),
        1.0,
        "Spark's alpha; for `implicit` only.",
    ),
    Setting("nonnegative", SPELLED_FLAG, False, "Spark's nonnegative: no factor below 0."),
    Setting("seed", spelled(whole(-(2**63), 2**63 - 1, expected="a whole number of 64 bits")), 42, "Spark's seed."),
    Setting(
        "reco_item", spelled(whole(1, MOST_K)), 10, "The server's default k, and the length of output.csv's lists."
    ),
    Setting(
        "group_size",
        spelled(whole(1, 1_000_000)),
        4096,
        "Customers per block in bulk scoring; fewer are taken where memory asks for it. No answer depends on it.",
    ),
    Setting(
        "returns",
        one_of("drop", "net", expected="drop or net"),
        "drop",
        "Rows with quantity <= 0 or a cancelled invoice: `drop`, or `net` (sum of quantity per pair, returns included; "
        "a pair at <= 0 goes).",
    ),
    Setting(
        "exclude_items",
        Kind('a JSON list of item ids, such as ["POST", "M"]', _ids),
        (),
        "Codes that are no products; their rows are refused.",
    ),
    Setting(
        "min_item_customers",
        optional(spelled(whole(1, 10**9, expected="a whole number of at least 1"))),
        None,
        "Items that fewer customers bought are refused.",
    ),
    Setting(
        "max_quantity",
        optional(spelled(number(0, MOST_QUANTITY, above=True, expected="a number above 0"))),
        None,
        "Rows whose quantity is larger are refused as absurd.",
    ),
    Setting("holdout_days", _DAYS, 30, "Evaluate on the window's last so many days before the final fit; 0 = don't."),
    Setting("new_item_days", _DAYS, 30, "An item is *new* for so many days after its first sale."),
    Setting("engine", one_of(*ENGINES, expected=" or ".join(ENGINES)), "spark", "Which engine fits the factors."),
    Setting(
        "delimiter",
        Kind("one of , | ; and tab", _delimiter),
        None,
        "What separates the columns of a CSV file; detected without it.",
    ),
    Setting(
        "columns",
        Kind(
            'an object such as {"customer": "CustomerID"}; keys '
            + ", ".join(COLUMNS)
            + "; values a header's name, or a number from 1",
            _columns,
        ),
        {},
        "Which column is what, for files whose names are not recognised; a number from 1 for files without a header. "
        "`item` also names the id in channel `items`, where that table has such a column.",
    ),
    Setting("date_format", optional(one_of(*DATE_FORMATS)), None, "How dates are written; detected without it."),
    Setting("max_bad_rows", spelled(number(0, 1)), 0.05, "The share of unreadable rows above which the job fails."),
)

_BY_NAME = {name: setting for setting in SETTINGS for name in (setting.name, *setting.aliases)}


def read_spec(spec_file: Path | None, hyperparameters: Path) -> Spec:
    """Return the spec that als_spec.json (None where there is none) and the platform's hyperparameters give.

    Raises:
        SpecError: a file is not a JSON object, or a setting is unknown, mistyped, out of range or given twice.
    """
    written = read_object(spec_file) if spec_file else {}
    strings = read_object(hyperparameters) if hyperparameters.is_file() else {}
    return parse_spec(written, {name: _decoded(value) for name, value in strings.items()})


def parse_spec(written: Mapping[str, Any], hyperparameters: Mapping[str, Any] | None = None) -> Spec:
    """Return the spec of the values in als_spec.json and, stronger, in hyperparameters.json, already decoded."""
    values = {setting.name: setting.default for setting in SETTINGS}
    values |= _parsed(written, "als_spec.json")
    values |= _parsed(hyperparameters or {}, "hyperparameters.json")
    return Spec(**values)


def _parsed(given: Mapping[str, Any], source: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    spellings: dict[str, str] = {}
    for name, value in given.items():
        if _IGNORED.fullmatch(name):
            continue
        setting = _BY_NAME.get(name)
        if setting is None:
            raise SpecError(f"{source} has an unknown setting {shown(name)}{nearest(name, _BY_NAME)}")
        if setting.name in spellings:
            both = f"{spellings[setting.name]!r} and {name!r}"
            raise SpecError(f"{source} has both {both}, which are one setting: keep one.")
        spellings[setting.name] = name
        if value is None:
            continue  # not given
        try:
            values[setting.name] = setting.kind.read(value, name)
        except BadValue as error:
            raise SpecError(f"{source}: {error}") from None
    return values


def _decoded(value: Any) -> Any:
    """Return the value behind a hyperparameter's string, in every spelling that the SDKs send; None for no value.

    They send text as it is (count) or as JSON ("count"), sometimes twice over; all else as JSON, or as Python's str()
    writes it (True, None, ['POST', 'M']): SageMaker Python SDK 2 does so for an Estimator, and its tuner.
    """
    for _ in range(3):
        if not isinstance(value, str):
            return value
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            break
    if not isinstance(value, str):
        return value
    return None if value.strip(" ").lower() in ("", "none", "null") else _from_python(value)


def _from_python(text: str) -> Any:
    """Return the list or dict that str() wrote; the text itself where it is something else."""
    if not text.startswith(("[", "{")) or len(text) > _LONGEST_LITERAL:
        return text
    try:
        return ast.literal_eval(text)  # literals only: nothing is run
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text
