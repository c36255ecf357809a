"""One training job, from the files under /opt/ml to the model folder and the outputs."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import alsriaz
from alsriaz.errors import BadValue, CallerError, SpecError
from alsriaz.model.arrays import ModelArrays
from alsriaz.model.attributes import Attributes, ItemTable
from alsriaz.model.folder import Model
from alsriaz.model.manifest import Manifest
from alsriaz.model.writer import writing_model
from alsriaz.platform.channels import check_hosts, read_channels, unused_channels
from alsriaz.platform.days import Day, day_text
from alsriaz.platform.json_file import read_object
from alsriaz.platform.layout import RULES_NAME, Layout
from alsriaz.platform.spec import Spec, read_spec
from alsriaz.rules.binding import make_layer
from alsriaz.rules.rows import NO_RULES, Rules, read_rules_file
from alsriaz.rules.side import Side
from alsriaz.tables.item_merge import GivenItems
from alsriaz.tables.purchases import Purchases
from alsriaz.tables.reading import read_purchases
from alsriaz.tables.refusals import Refusals
from alsriaz.training.customer_lists import read_baskets
from alsriaz.training.engines import Blocks, Engine, Factors, blocks_for, open_engine
from alsriaz.training.evaluation import Evaluation, evaluate
from alsriaz.training.inputs import Inputs
from alsriaz.training.items import item_table, read_items
from alsriaz.training.log import Log, print_metrics
from alsriaz.training.model import check_factors, model_arrays, rating_matrix
from alsriaz.training.outputs import check_writable, write_json, write_recommendations, write_rejected
from alsriaz.training.pairs import Pairs, check_enough, pair_up
from alsriaz.training.window import Window, find_window

NO_MANIFEST = Manifest({}, "")  # of a model that is not finished yet


def run(layout: Layout, log: Log, finishing: Callable[[], None]) -> None:
    """Train: read, clean, evaluate, fit, write.

    Args:
        layout: where everything is.
        log: what is told on the way.
        finishing: called when all is done but putting the finished model in place, which nothing should interrupt.

    Raises:
        CallerError: the spec, the rules or the data can't be used; nothing of a model is left behind.
    """
    log.say(f"alsriaz {alsriaz.__version__}: training")
    check_writable((layout.model, layout.output, layout.output_data), layout)
    layout.failure.unlink(missing_ok=True)
    channels = read_channels(layout)
    check_hosts(layout, channels)
    for warning in unused_channels(channels):
        log.warn(warning)
    with _scratch("engine", "input") as (engine_scratch, copies):
        inputs = Inputs(layout, channels, copies, log.say)
        spec = read_spec(inputs.spec_file(), layout.hyperparameters)
        rules = _standing_rules(inputs.rules_file(), spec)
        files = inputs.sales_files()
        given = _given_items(inputs.items_files(spec), spec, log)
        with open_engine(spec.engine, engine_scratch) as engine:
            purchases, refusals = _read(inputs, files, spec, layout, log)
            learnt = _learn(engine, purchases, refusals, given, rules, spec, layout, log)
    _write(learnt, rules, layout, log, finishing)


@dataclass(frozen=True)
class _Learnt:
    """All that the model folder and output.csv are made of."""

    spec: Spec
    last_day: Day
    arrays: ModelArrays
    table: ItemTable | None
    facts: dict[str, Any]


def _read(inputs: Inputs, files: list[Path], spec: Spec, layout: Layout, log: Log) -> tuple[Purchases, Refusals]:
    files = inputs.readable(files, spec)
    log.say("reading " + ", ".join(layout.shown(file) for file in files[:3]) + (", ..." if len(files) > 3 else ""))
    purchases, refusals = read_purchases(files, spec, log.say)
    inputs.drop_copies()
    _tell_rows(log, refusals)
    write_rejected(layout.output_data / "rejected.csv", refusals)
    return purchases, refusals


def _learn(
    engine: Engine,
    purchases: Purchases,
    refusals: Refusals,
    given: GivenItems | None,
    rules: Rules,
    spec: Spec,
    layout: Layout,
    log: Log,
) -> _Learnt:
    window, warnings = find_window(spec, purchases)
    for warning in warnings:
        log.warn(warning)
    pairs = pair_up(purchases, window, spec.half_life_days)
    check_enough(pairs, window)
    table = _item_table(pairs, purchases, given, spec, log)
    _check_standing_rules(rules, table, log)
    print_metrics(_counts(refusals, pairs))
    evaluation = _evaluate(engine, purchases, window, given, rules, spec, log)
    write_json(layout.output_data / "evaluation.json", evaluation)
    log.say(
        f"fitting {spec.feedback} ALS on {window}: {pairs.n_customers:,} customers x {pairs.n_items:,} items, "
        f"{len(pairs):,} pairs, rated by {spec.ranking_type}"
    )
    factors, blocks = _fit(engine, pairs, spec, log)
    facts = _facts(spec, refusals, window, pairs, blocks, engine.arithmetic, evaluation.get("metrics", {}))
    return _Learnt(spec, window.last, model_arrays(pairs, purchases, factors), table, facts)


def _write(learnt: _Learnt, rules: Rules, layout: Layout, log: Log, finishing: Callable[[], None]) -> None:
    output = layout.output_data / "output.csv"
    with writing_model(layout.model) as writer:
        standing = rules.as_json() if rules else {}
        writer.write(learnt.arrays, standing, learnt.table)
        model = Model(learnt.arrays, NO_MANIFEST, learnt.spec, learnt.last_day, standing, learnt.table)
        customers, written = write_recommendations(output, layout.output / "output.csv", model, log.say)
        log.say(f"{written:,} recommendations for {customers:,} customers are in {layout.shown(output)}")
        if not written:
            log.warn(f"there are no recommendations: {RULES_NAME} lets no item, or no customer, through.")
        manifest = writer.finish(learnt.facts, finishing)  # last: whoever finds a model finds all that belongs to it
    log.say(f"model {manifest.short_hash} is in {layout.shown(layout.model)}/, read back and verified")


def _standing_rules(path: Path | None, spec: Spec) -> Rules:
    if path is None:
        return NO_RULES
    try:
        rules = read_rules_file(read_object(path))
        if len(rules.get("include.items", ())) > spec.reco_item:
            raise BadValue("include.items", _too_many(rules, spec))
    except BadValue as error:
        raise SpecError(f"{path.name}: {error}") from None
    return rules


def _given_items(files: list[Path], spec: Spec, log: Log) -> GivenItems | None:
    """Return the shop's table of items, where there is one."""
    if not files:
        return None
    given = read_items(files, spec, log.say)
    for warning in given.warnings():
        log.warn(warning)
    return given


def _item_table(pairs: Pairs, purchases: Purchases, given: GivenItems | None, spec: Spec, log: Log) -> ItemTable | None:
    table = item_table(pairs, purchases, given, spec.exclude_items)
    if table:
        names = table.attributes.names
        told = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        log.say(f"attributes of the items: {told or 'none'}")
    if table and given:
        sold = [purchases.item_ids[code] for code in pairs.item_codes]
        _tell_overlap(log, len(set(given.ids).intersection(sold)), len(sold), len(table.unsold_ids))
    return table


def _tell_overlap(log: Log, known: int, n_sold: int, n_unsold: int) -> None:
    told = f"channel 'items' has {known:,} of the {n_sold:,} items sold"
    log.say(f"{told}, and {n_unsold:,} that were never sold")
    if 2 * known < n_sold:
        log.warn(
            f"{told}: are its ids spelled as in the sales, with the same leading zeros, capitals and small letters?"
        )


def _check_standing_rules(rules: Rules, table: ItemTable | None, log: Log) -> None:
    """Raise SpecError, before hours of fitting, where rules.json names unknown attributes or has a bad basket.

    A value that no item has is told at once too: a misspelled one empties every list.
    """
    try:
        told = make_layer(rules, Side.of_attributes(table.attributes if table else Attributes.empty(0))).notices
    except BadValue as error:
        raise SpecError(f"{RULES_NAME}: {error}") from None
    for notice in told:
        log.warn(f"{RULES_NAME}: {notice.message}")
    read_baskets(rules)


def _too_many(rules: Rules, spec: Spec) -> str:
    included = len(rules.get("include.items"))
    return f"include.items has {included} items that must appear, but reco_item is {spec.reco_item}."


@contextmanager
def _scratch(*names: str) -> Iterator[list[Path]]:
    """Hold empty folders on the platform's large volume, /tmp, and remove them however the job ends."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="alsriaz-"))
    except FileNotFoundError:  # what tempfile raises where it tried several
        raise CallerError(
            "There is no folder for temporary files that can be written to: mount /tmp writable, or set TMPDIR."
        ) from None
    try:
        folders = [folder / name for name in names]
        for part in folders:
            part.mkdir()
        yield folders
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _tell_rows(log: Log, refusals: Refusals) -> None:
    accepted = refusals.rows - sum(refusals.counts.values())
    rows = [("rows read", f"{refusals.rows:,}"), ("accepted", f"{accepted:,}")]
    rows += [(f"refused: {reason}", f"{count:,}") for reason, count in refusals.counts.items() if count]
    log.table(rows)


def _fit(engine: Engine, pairs: Pairs, spec: Spec, log: Log) -> tuple[Factors, Blocks]:
    matrix = rating_matrix(pairs, spec)
    blocks = blocks_for(matrix)
    factors = engine.fit(matrix, blocks, spec, log.say)
    check_factors(factors)
    return factors, blocks


def _evaluate(
    engine: Engine,
    purchases: Purchases,
    window: Window,
    given: GivenItems | None,
    rules: Rules,
    spec: Spec,
    log: Log,
) -> dict[str, Any]:
    """Return what evaluation.json holds; where nothing can be evaluated, that is the reason why."""
    days = window.last - window.first + 1
    if spec.holdout_days == 0:
        return {"skipped": "holdout_days is 0"}
    if spec.holdout_days > days / 2:
        return _skipped(log, f"holdout_days {spec.holdout_days} would take more than half of the window's {days} days")
    cut = window.last - spec.holdout_days
    earlier = pair_up(purchases, window.until(cut), spec.half_life_days)
    later = pair_up(purchases, window.after(cut), spec.half_life_days)
    if earlier.n_customers < 2 or earlier.n_items < 2:
        return _skipped(log, f"before {day_text(cut + 1)} there are fewer than 2 customers or 2 items")
    log.say(f"evaluating: fitting on {window.until(cut)}, testing on {window.after(cut)}")
    factors, _ = _fit(engine, earlier, spec, log)
    table = item_table(earlier, purchases, given, spec.exclude_items)
    arrays = model_arrays(earlier, purchases, factors)
    standing = rules.as_json() if rules else {}
    evaluation = evaluate(Model(arrays, NO_MANIFEST, spec, Day(cut), standing, table), earlier, later)
    if evaluation is None:
        return _skipped(log, f"no customer known before {day_text(cut + 1)} bought a known item after it")
    _tell_evaluation(log, evaluation)
    print_metrics(evaluation.metrics())
    window_json = {"first_day": day_text(cut + 1), "last_day": day_text(window.last)}
    return {"holdout": window_json, "metrics": evaluation.metrics(), "measures": evaluation.as_json()}


def _skipped(log: Log, reason: str) -> dict[str, Any]:
    log.warn(f"the evaluation is skipped: {reason}.")
    return {"skipped": reason}


def _tell_evaluation(log: Log, evaluation: Evaluation) -> None:
    rows = [("at 10", "NDCG", "precision", "recall", "customers")]
    for name, measures in evaluation.as_json().items():
        group = name.removesuffix("_new") + (", items new to the customer" if name.endswith("_new") else ", all items")
        numbers = [f"{measures[measure]:.4f}" for measure in ("ndcg", "precision", "recall")]
        rows.append((group, numbers[0], numbers[1], numbers[2], f"{measures['customers']:,}"))
    log.table(rows)


def _counts(refusals: Refusals, pairs: Pairs) -> dict[str, int]:
    """Return what a job that runs every night should be watched for."""
    return {
        "rows_read": refusals.rows,
        "rows_refused": sum(refusals.counts.values()),
        "customers": pairs.n_customers,
        "items": pairs.n_items,
        "pairs": len(pairs),
    }


def _facts(
    spec: Spec,
    refusals: Refusals,
    window: Window,
    pairs: Pairs,
    blocks: Blocks,
    arithmetic: str,
    metrics: dict[str, float],
) -> dict[str, Any]:
    """Return what the manifest tells beside the files; nothing in it comes from a clock."""
    return {
        "made_by": f"alsriaz {alsriaz.__version__}",
        "spec": spec.as_json(),
        "counts": {
            "customers": pairs.n_customers,
            "items": pairs.n_items,
            "pairs": len(pairs),
            "purchases": int(pairs.purchases.counts.sum()),
            "rows_read": refusals.rows,
            "rows_refused": dict(refusals.counts),
        },
        "dates": {"first_day": day_text(window.first), "last_day": day_text(window.last)},
        "blocks": asdict(blocks),
        "arithmetic": arithmetic,
        "metrics": metrics,
    }
