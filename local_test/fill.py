"""Puts a year of real grocery sales into a folder, as a file that train reads; local_test/train_local.sh runs it."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # The script's own folder stands first there, where a module of ours could shadow another package's.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import pyarrow.parquet as pq

from local_test.groceries import find_data, read_groceries

NAME = "groceries.parquet"


def fill(channel: Path) -> None:
    """Write the sales; an interrupted run leaves nothing that train would take for them."""
    unfinished = channel / f".{NAME}"
    pq.write_table(read_groceries(find_data())[0], unfinished)
    unfinished.replace(channel / NAME)


if __name__ == "__main__":
    fill(Path(sys.argv[1]))
