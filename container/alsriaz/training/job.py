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
from alsriaz.tables.given_items import GivenItems, read_items
from alsriaz.tables.refusals import Refusals
from alsriaz.tables.sales import Purchases, read_purchases
from alsriaz.training.customer_lists import read_baskets
from alsriaz.training.engines import Engine, open_engine
from alsriaz.training.evaluation import Evaluation, evaluate
from alsriaz.training.fitting import fit, model_arrays
from alsriaz.training.inputs import Inputs
from alsriaz.training.items import item_table
from alsriaz.training.outputs import check_writable, write_json, write_recommendations, write_rejected
from alsriaz.training.pairs import Pairs, Window, check_enough, find_window, pair_up
from alsriaz.training.run_log import Log, print_metrics

NO_MANIFEST = Manifest({}, "")  # of a model that is not finished yet


@dataclass(frozen=True)
class _Job:
    """What is to be done, and who is told: all that each step has to know."""

    layout: Layout
    log: Log
    spec: Spec
    rules: Rules
    given: GivenItems | None  # the shop's table of items

    def model(self, last_day: Day, arrays: ModelArrays, table: ItemTable | None) -> Model:
        """Return a model in memory, under the standing rules."""
        return Model(arrays, NO_MANIFEST, self.spec, last_day, self.rules.as_json() if self.rules else {}, table)


@dataclass(frozen=True)
class _Sales:
    """What was read: the accepted purchases, those of the window by pair, and what was refused."""

    purchases: Purchases
    refusals: Refusals
    window: Window
    pairs: Pairs


@dataclass(frozen=True)
class _Learnt:
    """All that the model folder and output.csv are made of."""

    last_day: Day
    arrays: ModelArrays
    table: ItemTable | None
    facts: dict[str, Any]


def run(layout: Layout, log: Log, finishing: Callable[[], None]) -> None:
    """Train: read, clean, evaluate, fit, write.

    `finishing` is called when all is done but putting the finished model in place, which nothing should interrupt.

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
        job = _Job(layout, log, spec, rules, _given_items(inputs.items_files(spec), spec, log))
        with open_engine(spec.engine, engine_scratch) as engine:
            learnt = _learn(job, engine, _read(job, inputs, files))
    _write(job, learnt, finishing)


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


def _standing_rules(path: Path | None, spec: Spec) -> Rules:
    if path is None:
        return NO_RULES
    try:
        rules = read_rules_file(read_object(path))
        included = len(rules.get("include.items", ()))
        if included > spec.reco_item:
            message = f"include.items has {included} items that must appear, but reco_item is {spec.reco_item}."
            raise BadValue("include.items", message)
    except BadValue as error:
        raise SpecError(f"{path.name}: {error}") from None
    return rules


def _given_items(files: list[Path], spec: Spec, log: Log) -> GivenItems | None:
    if not files:
        return None
    given = read_items(files, spec, log.say)
    for warning in given.warnings():
        log.warn(warning)
    return given


# ---- Reading --------------------------------------------------------------------------------------------------------


def _read(job: _Job, inputs: Inputs, files: list[Path]) -> _Sales:
    layout, log = job.layout, job.log
    files = inputs.readable(files, job.spec)
    log.say("reading " + ", ".join(layout.shown(file) for file in files[:3]) + (", ..." if len(files) > 3 else ""))
    purchases, refusals = read_purchases(files, job.spec, log.say)
    inputs.drop_copies()
    accepted = refusals.rows - sum(refusals.counts.values())
    rows = [("rows read", f"{refusals.rows:,}"), ("accepted", f"{accepted:,}")]
    rows += [(f"refused: {reason}", f"{count:,}") for reason, count in refusals.counts.items() if count]
    log.table(rows)
    write_rejected(layout.output_data / "rejected.csv", refusals)
    window, warnings = find_window(job.spec, purchases)
    for warning in warnings:
        log.warn(warning)
    pairs = pair_up(purchases, window, job.spec.half_life_days)
    check_enough(pairs, window)
    return _Sales(purchases, refusals, window, pairs)


def _item_table(job: _Job, sales: _Sales) -> ItemTable | None:
    """Return what is known of the items beyond their sales, and check what rules.json says of them.

    Raises:
        SpecError: before hours of fitting, where rules.json names unknown attributes, or has a bad basket.
    """
    table = item_table(sales.pairs, sales.purchases, job.given, job.spec.exclude_items)
    if table:
        names = table.attributes.names
        told = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        job.log.say(f"attributes of the items: {told or 'none'}")
    if table and job.given:
        sold = [sales.purchases.item_ids[code] for code in sales.pairs.item_codes]
        known = len(set(job.given.ids).intersection(sold))
        told = f"channel 'items' has {known:,} of the {len(sold):,} items sold"
        job.log.say(f"{told}, and {len(table.unsold_ids):,} that were never sold")
        if 2 * known < len(sold):
            job.log.warn(
                f"{told}: are its ids spelled as in the sales, with the same leading zeros, capitals and small letters?"
            )
    try:
        side = Side.of_attributes(table.attributes if table else Attributes.empty(0))
        notices = make_layer(job.rules, side).notices
    except BadValue as error:
        raise SpecError(f"{RULES_NAME}: {error}") from None
    for notice in notices:  # such as a value that no item has: a misspelled one empties every list
        job.log.warn(f"{RULES_NAME}: {notice.message}")
    read_baskets(job.rules)
    return table


# ---- Learning -------------------------------------------------------------------------------------------------------


def _learn(job: _Job, engine: Engine, sales: _Sales) -> _Learnt:
    table, pairs = _item_table(job, sales), sales.pairs
    counts = {"customers": pairs.n_customers, "items": pairs.n_items, "pairs": len(pairs)}
    refused = sales.refusals.counts
    rows_read = {"rows_read": sales.refusals.rows}
    print_metrics(rows_read | {"rows_refused": sum(refused.values())} | counts)
    evaluation = _evaluate(job, engine, sales)
    write_json(job.layout.output_data / "evaluation.json", evaluation)
    job.log.say(
        f"fitting {job.spec.feedback} ALS on {sales.window}: {pairs.n_customers:,} customers x {pairs.n_items:,} "
        f"items, {len(pairs):,} pairs, rated by {job.spec.ranking_type}"
    )
    factors, blocks = fit(engine, pairs, job.spec, job.log.say)
    facts = {  # what the manifest tells beside the files; nothing in it comes from a clock
        "made_by": f"alsriaz {alsriaz.__version__}",
        "spec": job.spec.as_json(),
        "counts": counts
        | {"purchases": int(pairs.purchases.counts.sum())}
        | rows_read
        | {"rows_refused": dict(refused)},
        "dates": {"first_day": day_text(sales.window.first), "last_day": day_text(sales.window.last)},
        "blocks": asdict(blocks),
        "arithmetic": engine.arithmetic,
        "metrics": evaluation.get("metrics", {}),
    }
    return _Learnt(sales.window.last, model_arrays(pairs, sales.purchases, factors), table, facts)


def _evaluate(job: _Job, engine: Engine, sales: _Sales) -> dict[str, Any]:
    """Return what evaluation.json holds; where nothing can be evaluated, that is the reason why."""
    spec, window = job.spec, sales.window
    days = window.last - window.first + 1
    if spec.holdout_days == 0:
        return {"skipped": "holdout_days is 0"}
    if spec.holdout_days > days / 2:
        return _skipped(job, f"holdout_days {spec.holdout_days} would take more than half of the window's {days} days")
    cut = window.last - spec.holdout_days
    earlier = pair_up(sales.purchases, window.until(cut), spec.half_life_days)
    later = pair_up(sales.purchases, window.after(cut), spec.half_life_days)
    if not earlier.enough:
        return _skipped(job, f"before {day_text(cut + 1)} there are fewer than 2 customers or 2 items")
    job.log.say(f"evaluating: fitting on {window.until(cut)}, testing on {window.after(cut)}")
    factors, _ = fit(engine, earlier, spec, job.log.say)
    table = item_table(earlier, sales.purchases, job.given, spec.exclude_items)
    model = job.model(Day(cut), model_arrays(earlier, sales.purchases, factors), table)
    evaluation = evaluate(model, earlier, later)
    if evaluation is None:
        return _skipped(job, f"no customer known before {day_text(cut + 1)} bought a known item after it")
    _tell_evaluation(job.log, evaluation)
    print_metrics(evaluation.metrics())
    window_json = {"first_day": day_text(cut + 1), "last_day": day_text(window.last)}
    return {"holdout": window_json, "metrics": evaluation.metrics(), "measures": evaluation.as_json()}


def _skipped(job: _Job, reason: str) -> dict[str, Any]:
    job.log.warn(f"the evaluation is skipped: {reason}.")
    return {"skipped": reason}


def _tell_evaluation(log: Log, evaluation: Evaluation) -> None:
    rows = [("at 10", "NDCG", "precision", "recall", "customers")]
    for name, measures in evaluation.as_json().items():
        group = name.removesuffix("_new") + (", items new to the customer" if name.endswith("_new") else ", all items")
        numbers = [f"{measures[measure]:.4f}" for measure in ("ndcg", "precision", "recall")]
        rows.append((group, numbers[0], numbers[1], numbers[2], f"{measures['customers']:,}"))
    log.table(rows)


# ---- Writing --------------------------------------------------------------------------------------------------------


def _write(job: _Job, learnt: _Learnt, finishing: Callable[[], None]) -> None:
    layout, log = job.layout, job.log
    output = layout.output_data / "output.csv"
    with writing_model(layout.model) as writer:
        model = job.model(learnt.last_day, learnt.arrays, learnt.table)
        writer.write(learnt.arrays, model.standing, learnt.table)
        customers, written = write_recommendations(output, layout.output / "output.csv", model, log.say)
        log.say(f"{written:,} recommendations for {customers:,} customers are in {layout.shown(output)}")
        if not written:
            log.warn(f"there are no recommendations: {RULES_NAME} lets no item, or no customer, through.")
        manifest = writer.finish(learnt.facts, finishing)  # last: whoever finds a model finds all that belongs to it
    log.say(f"model {manifest.short_hash} is in {layout.shown(layout.model)}/, read back and verified")
