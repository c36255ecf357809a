"""The demo: its tables, its cast, and the whole of it on small sales with real train and serve."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from alsriaz.model.folder import Model
from alsriaz.model.manifest import Manifest
from alsriaz.platform.spec import parse_spec
from alsriaz.tables.sales import read_purchases
from alsriaz.training.engines import FittedFactors
from alsriaz.training.fitting import model_arrays
from alsriaz.training.items import item_table
from alsriaz.training.pairs import find_window, pair_up
from local_test import questions, tables
from local_test.cast import Cast, choose
from local_test.groceries import find_data, read_groceries
from local_test.programs import SIGNALS, DemoError, Interrupted, end_on_signals, started
from local_test.shop import Shop
from local_test.tree import lay_out, put_in, work_folder

ROOT = Path(__file__).resolve().parents[1]

# ---- tables ---------------------------------------------------------------------------------------------------------

CELLS = [
    # value      shown       why
    (1234567, "1,234,567", "whole numbers have thousands separators"),
    (0.5, "0.5000", "a score has four decimals"),
    (None, "-", "what is absent is a dash"),
    ("a\tb\x1b[2J", "a?b?[2J", "an id can't move the cursor"),
]


@pytest.mark.parametrize(("value", "shown", "why"), CELLS, ids=[row[-1] for row in CELLS])
def test_cell(value: object, shown: str, why: str) -> None:
    assert tables.shown(value) == shown


def test_columns_are_aligned_numbers_to_the_right() -> None:
    assert tables.table(["item", "times"], [["tea", 5], ["scones", 1200]]) == "\n".join(
        ["  item    times", "  ------  -----", "  tea         5", "  scones  1,200"]
    )


def test_a_table_without_names_has_no_header() -> None:
    assert tables.table(["", ""], [["rated by", "count"]]) == "  rated by  count"


def test_a_wide_table_is_cut_to_100_columns_in_its_widest_column() -> None:
    lines = tables.table(["item", "description"], [["22423", "x" * 200], ["1", "short"]]).splitlines()
    assert max(map(len, lines)) == tables.WIDTH
    assert lines[2].startswith("  22423  xxx")
    assert lines[2].endswith("...")
    assert lines[3] == "  1      short"


def test_wide_letters_take_two_columns() -> None:
    assert tables.text_width("茶ab") == 4
    assert tables.text_width("e\u0301") == 1, "a combining mark takes none"
    assert tables.cut("茶茶茶茶", 7) == "茶茶..."


# ---- the cast and the payloads --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def groceries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sales, left_out = read_groceries(find_data())
    assert (sales.num_rows, left_out) == (1_451_616, 17_691)
    path = tmp_path_factory.mktemp("groceries") / "groceries.parquet"
    pq.write_table(sales, path)
    return path


@pytest.fixture(scope="module")
def shop(groceries: Path) -> Shop:
    """The groceries' purchases; nothing is fitted, since the cast doesn't depend on it."""
    spec = parse_spec({})
    purchases, _ = read_purchases([groceries], spec, lambda _text: None)
    window, _ = find_window(spec, purchases)
    pairs = pair_up(purchases, window, spec.half_life_days)
    no_factors = FittedFactors(np.zeros((pairs.n_customers, 1), "f4"), np.zeros((pairs.n_items, 1), "f4"))
    arrays = model_arrays(pairs, purchases, no_factors)
    table = item_table(pairs, purchases, None, ())
    return Shop(Model(arrays, Manifest({}, ""), spec, window.last, {}, table))


def test_neither_fuel_nor_coupons_are_sold(shop: Shop) -> None:
    ids = shop.model.item_ids
    lines = [shop.describe(ids.id_at(position)) for position in range(len(ids))]
    assert sum(map(bool, lines)) > 0.9 * len(lines)
    assert not [line for line in lines if "gasoline" in line or "coupon" in line]
    assert shop.describe("1082185") == "bananas 40 LB"
    assert shop.describe("no such item") == ""


def test_the_payloads_are_what_the_demo_sends_about_the_groceries(shop: Shop) -> None:
    cast = choose(shop)
    n_items = len(shop.model.arrays.item_customers)
    assert questions.recommend(cast.customers[0]) == questions.payload("recommend.json")
    assert questions.under_rules(cast, n_items) == questions.payload("rules.json")
    assert questions.by_basket(cast) == questions.payload("basket.json")
    assert (questions.PAYLOADS / "customers.csv").read_text().split() == ["customer", *cast.customers]


def test_the_payload_of_tasks_asks_about_the_groceries(shop: Shop) -> None:
    asked = [json.loads(line) for line in (questions.PAYLOADS / "tasks.jsonl").read_text().splitlines()]
    assert [one["task"] for one in asked] == ["similar", "audience", "score", "explain"]
    items = [item for one in asked for item in [one.get("item"), *one.get("items", [])] if item is not None]
    assert [item for item in items if shop.model.item_ids.position_of(item) is None] == []
    assert {one["customer"] for one in asked if "customer" in one} == {choose(shop).customers[0]}


def test_the_cast_is_interesting(shop: Shop) -> None:
    cast = choose(shop)
    assert [sum(shop.bought(customer).values()) for customer in cast.customers] == [534, 837, 1342]
    assert cast.new_item not in shop.bought(cast.customers[0])
    assert [shop.describe(item) for item in cast.basket] == ["limes 36 CT", "avocado", "squash zucchini 18 LB"]


def test_every_payload_is_one_line_of_json() -> None:
    for path in questions.PAYLOADS.glob("*.json*"):
        lines = path.read_text().splitlines()
        assert len(lines) == 1 or path.suffix == ".jsonl"
        assert all(isinstance(json.loads(line), dict) for line in lines)


def test_a_small_catalogue_keeps_most_of_its_items() -> None:
    request = questions.under_rules(Cast(("a",), "new", ("x", "y")), n_items=30)
    assert request["exclude"] == {"popular": 3}
    assert questions.by_basket(Cast(("a",), "new", ("x", "y")))["history"] == ["x", {"item": "y", "quantity": 2}]


# ---- the work folder ------------------------------------------------------------------------------------------------


def test_files_of_one_name_and_hidden_names_are_all_put_in(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a/sales.csv", "b/sales.csv", "b/_sales.csv")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text(str(file))
    (tmp_path / "channel").mkdir()
    placed = put_in(files, tmp_path / "channel")
    assert [path.name for path in placed] == ["sales.csv", "2sales.csv", "3_sales.csv"]
    assert [path.read_text() for path in placed] == [str(file) for file in files]


def test_sales_in_the_folder_that_is_made_anew_are_refused(tmp_path: Path) -> None:
    lay_out(tmp_path / "ml")
    sales = tmp_path / "ml" / "sales.csv"
    sales.touch()
    with pytest.raises(DemoError, match=r"sales\.csv lies in a folder that the demo makes anew: copy it to another"):
        lay_out(tmp_path / "ml", [sales])
    assert sales.exists()


def test_a_second_demo_does_not_clear_away_the_first(tmp_path: Path) -> None:
    with (
        work_folder(tmp_path),
        pytest.raises(DemoError, match=r"another demo runs in .*: wait for its end, or stop it"),
        work_folder(tmp_path),
    ):
        pass


# ---- the whole ------------------------------------------------------------------------------------------------------


class RunningDemo:
    """The demo, in a place of its own, started as a terminal does: as the leader of a process group."""

    def __init__(self, folder: Path, *options: str) -> None:
        shutil.copytree(ROOT / "local_test", folder / "local_test", ignore=shutil.ignore_patterns("work"))
        (folder / "container").symlink_to(ROOT / "container")
        self.mark = f"DEMO_TEST={uuid.uuid4()}"
        paths = os.pathsep.join([str(ROOT / "container"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
        self.process = subprocess.Popen(
            [sys.executable, folder / "local_test" / "demo.py", *options],
            env=os.environ | dict([self.mark.split("=")]) | {"PYTHONPATH": paths.strip(os.pathsep)},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []

    def read_until(self, words: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if words in line:
                return
        pytest.fail(f"the demo ended before it said {words!r}:\n" + "\n".join(self.lines))

    def interrupt(self) -> int:
        """Press Ctrl-C, and return the exit status."""
        assert self.process.stdout is not None
        os.killpg(self.process.pid, signal.SIGINT)
        self.lines += self.process.stdout.read().splitlines()
        return self.process.wait()

    def still_running(self) -> list[str]:
        """Return the commands of the processes that the demo left, giving the last of them a moment to end."""
        deadline = time.monotonic() + 5
        while (left := self._marked()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def _marked(self) -> list[str]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # it ended while we looked
                continue
        return found


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    """Four months of a small shop, with a row that has no customer."""
    dice = random.Random(1)
    lines = ["CustomerID,StockCode,Description,Quantity,InvoiceDate", ",I1,thing 1,1,2020-01-01"]
    for customer in range(30):
        taste = dice.sample(range(40), 8)
        for _ in range(20):
            item, day = dice.choice(taste), f"2020-{dice.randint(1, 4):02}-{dice.randint(1, 28):02}"
            lines.append(f"C{customer},I{item},thing {item},{dice.randint(1, 3)},{day}")
    lines += ["C7,I_new,a new thing,1,2020-04-20"]
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def demo(tmp_path: Path, sales: Path, request: pytest.FixtureRequest) -> Iterator[RunningDemo]:
    running = RunningDemo(tmp_path / "demo", "--data", str(sales), *getattr(request, "param", ()))
    yield running
    running.process.kill()
    running.process.communicate()


@pytest.mark.spark
@pytest.mark.process
@pytest.mark.parametrize("demo", [["--keep"]], indirect=True)
def test_the_demo_shows_all_its_tables_and_leaves_nothing_running(demo: RunningDemo) -> None:
    demo.read_until("The server goes on at http://127.0.0.1:")
    assert demo.interrupt() == 0
    assert demo.still_running() == []
    shown = "\n".join(demo.lines)
    assert "  refused: no customer       1  -, I1, 1, 2020-01-01" in demo.lines
    assert shown.count("Buys most often:") == 3
    assert shown.count("\nPOST /invocations\n{") == 5
    assert '"include": {"items": ["I_new"]}, "exclude": {"popular": 4}}' in shown
    assert "source history, model " in shown
    assert max(len(line) for line in demo.lines if not line.startswith(("  |", "{", "curl"))) <= tables.WIDTH
    assert demo.lines[-1].startswith("The model is in ")


@pytest.mark.spark
@pytest.mark.process
@pytest.mark.parametrize("moment", ["reading input/data", "SAGEMAKER_BIND_TO_PORT="], ids=["train", "serve"])
def test_ctrl_c_stops_all_that_was_started(moment: str, demo: RunningDemo) -> None:
    demo.read_until(moment)
    assert demo.interrupt() == 130
    assert demo.still_running() == []
    assert demo.lines[-1] == "demo: stopped; nothing of it runs any more"


@pytest.fixture
def _own_handlers() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in SIGNALS}
    end_on_signals()
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.process
@pytest.mark.usefixtures("_own_handlers")
def test_ctrl_c_while_a_program_is_being_started_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper = tmp_path / "sleeper.py"
    sleeper.write_text("import time\ntime.sleep(60)\n")
    born: list[subprocess.Popen[bytes]] = []

    class InterruptedAtOnce(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            born.append(self)
            signal.raise_signal(signal.SIGINT)  # to this thread: programs have no other one, but whoever tests may

    monkeypatch.setattr(subprocess, "Popen", InterruptedAtOnce)
    with pytest.raises(Interrupted), started(sleeper, {}):
        pytest.fail("the signal was to come before")
    assert born[0].returncode == -signal.SIGTERM
