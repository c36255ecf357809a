"""The spec: the settings of one training run.

Precedence: built-in default < als_spec.json < hyperparameters.json; null counts as not given. The names are the
reference system's where it had one, its `max_itter` included.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alsriaz.errors import SpecError
from alsriaz.platform.days import Day, day_text, parse_day
from alsriaz.platform.hyperparameters import read_hyperparameters
from alsriaz.platform.json_file import read_object
from alsriaz.platform.setting import Setting, boolean, choice, nearest, optional, real, shown, whole
from alsriaz.platform.values import parse_id

RANKING_TYPES = ("incident", "count", "total_qty", "normalize_count", "recency")
DATE_FORMATS = ("yyyymmdd", "iso", "d/m/yyyy", "m/d/yyyy")
COLUMNS = ("customer", "item", "quantity", "date", "price", "invoice", "description")
MOST_IN_A_LIST = 1_000

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


SETTINGS = (
    Setting(
        "ranking_type",
        choice(*RANKING_TYPES),
        "one of " + ", ".join(RANKING_TYPES),
        "count",
        "How purchases become ratings: `incident` (1 per pair), `count` (purchases of the pair), `total_qty` (sum of "
        "quantity), `normalize_count` (count / number of customers who bought the item), `recency` (count, each "
        "purchase halving every `half_life_days` before the window's last day).",
    ),
    Setting(
        "half_life_days",
        real(0.001, 36_500),
        "a number of days from 0.001 to 36500",
        90.0,
        "For `recency`: the age at which a purchase counts half.",
    ),
    Setting(
        "retention_date",
        optional(_retention_date),
        "a day as yyyymmdd or yyyy-mm-dd",
        None,
        "The last day of the window. A day after the data's last day means the data's last day, with a warning.",
    ),
    Setting(
        "retention_days",
        optional(whole(1, 36_500)),
        "a whole number of days from 1 to 36500",
        None,
        "The window's length, its last day included. Without `retention_date` the window ends at the data's last day.",
    ),
    Setting("max_itter", whole(1, 1000), "a whole number from 1 to 1000", 10, "Spark's maxIter.", ("max_iter",)),
    Setting("reg_param", real(0, 1e6, above_low=True), "a number above 0, at most 1000000", 0.1, "Spark's regParam."),
    Setting("als_rank", whole(1, 1000), "a whole number from 1 to 1000", 32, "Spark's rank: the number of factors."),
    Setting(
        "feedback",
        choice("implicit", "explicit"),
        "implicit or explicit",
        "implicit",
        "`implicit`: ratings are confidence that the customer likes the item (Spark's implicitPrefs). `explicit`: "
        "ratings are what is to be predicted.",
    ),
    Setting("alpha", real(0, 1e6), "a number from 0 to 1000000", 1.0, "Spark's alpha; for `implicit` only."),
    Setting("nonnegative", boolean, "true or false", False, "Spark's nonnegative: no factor below 0."),
    Setting("seed", whole(-(2**63), 2**63 - 1), "a whole number of 64 bits", 42, "Spark's seed."),
    Setting(
        "reco_item",
        whole(1, MOST_IN_A_LIST),
        f"a whole number from 1 to {MOST_IN_A_LIST}",
        10,
        "The server's default k, and the length of output.csv's lists.",
    ),
    Setting(
        "group_size",
        whole(1, 1_000_000),
        "a whole number from 1 to 1000000",
        4096,
        "Customers per block in bulk scoring; fewer are taken where memory asks for it. No answer depends on it.",
    ),
    Setting(
        "returns",
        choice("drop", "net"),
        "drop or net",
        "drop",
        "Rows with quantity <= 0 or a cancelled invoice: `drop`, or `net` (sum of quantity per pair, returns included; "
        "a pair at <= 0 goes).",
    ),
    Setting(
        "exclude_items",
        _ids,
        'a JSON list of item ids, such as ["POST", "M"]',
        (),
        "Codes that are no products; their rows are refused.",
    ),
    Setting(
        "min_item_customers",
        optional(whole(1, 10**9)),
        "a whole number of at least 1",
        None,
        "Items that fewer customers bought are refused.",
    ),
    Setting(
        "max_quantity",
        optional(real(0, 1e15, above_low=True)),
        "a number above 0",
        None,
        "Rows whose quantity is larger are refused as absurd.",
    ),
    Setting(
        "holdout_days",
        whole(0, 36_500),
        "a whole number of days from 0 to 36500",
        30,
        "Evaluate on the window's last so many days before the final fit; 0 = don't.",
    ),
    Setting(
        "new_item_days",
        whole(0, 36_500),
        "a whole number of days from 0 to 36500",
        30,
        "An item is *new* for so many days after its first sale.",
    ),
    Setting("engine", choice("spark"), "spark", "spark", "Which engine fits the factors."),
    Setting(
        "delimiter",
        _delimiter,
        "one of , | ; and tab",
        None,
        "What separates the columns of a CSV file; detected without it.",
    ),
    Setting(
        "columns",
        _columns,
        'an object such as {"customer": "CustomerID"}; keys '
        + ", ".join(COLUMNS)
        + "; values a header's name, or a number from 1",
        {},
        "Which column is what, for files whose names are not recognised; a number from 1 for files without a header. "
        "`item` also names the id in channel `items`, where that table has such a column.",
    ),
    Setting(
        "date_format",
        optional(choice(*DATE_FORMATS)),
        "one of " + ", ".join(DATE_FORMATS),
        None,
        "How dates are written; detected without it.",
    ),
    Setting(
        "max_bad_rows",
        real(0, 1),
        "a number from 0 to 1",
        0.05,
        "The share of unreadable rows above which the job fails.",
    ),
)

_BY_NAME = {name: setting for setting in SETTINGS for name in (setting.name, *setting.aliases)}


def read_spec(spec_file: Path | None, hyperparameters: Path) -> Spec:
    """Return the spec that als_spec.json (None where there is none) and the platform's hyperparameters give.

    Raises:
        SpecError: a file is not a JSON object, or a setting is unknown, mistyped, out of range or given twice.
    """
    written = read_object(spec_file) if spec_file else {}
    return parse_spec(written, read_hyperparameters(hyperparameters))


def parse_spec(written: Mapping[str, Any], hyperparameters: Mapping[str, Any] | None = None) -> Spec:
    """Return the spec of the values in als_spec.json and, stronger, in hyperparameters.json, already decoded."""
    values = {setting.name: setting.default for setting in SETTINGS}
    values |= _parsed(written, "als_spec.json")
    values |= _parsed(hyperparameters or {}, "hyperparameters.json")
    return Spec(**values)


def _parsed(given: Mapping[str, Any], source: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for name, value in given.items():
        if _IGNORED.fullmatch(name):
            continue
        setting = _BY_NAME.get(name)
        if setting is None:
            raise SpecError(f"{source} has an unknown setting {shown(name)}{nearest(name, _BY_NAME)}")
        if setting.name in spelled:
            raise SpecError(
                f"{source} has both {spelled[setting.name]!r} and {name!r}, which are one setting: keep one."
            )
        spelled[setting.name] = name
        if value is None:
            continue  # not given
        try:
            values[setting.name] = setting.parse(value)
        except (ValueError, OverflowError):
            raise SpecError(f"{source}: {name} is {shown(value)}, expected {setting.expected}.") from None
    return values
