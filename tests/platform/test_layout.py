import os
from pathlib import Path

import pytest

from alsriaz.errors import DataError, SpecError
from alsriaz.platform.layout import Layout


def lay(root: Path, *names: str) -> Layout:
    for name in names:
        path = root / "input" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    return Layout(root)


FOUND = [
    (["data/training/a.csv", "data/training/b.csv.gz", "data/training/c.PARQUET"], 3, "the channel, all suffixes"),
    (["data/train/deep/er/a.csv"], 1, "the other name of the channel, at any depth"),
    (["data/training/_SUCCESS", "data/training/.a.csv.crc", "data/training/a.csv"], 1, "hidden files are no sales"),
    (["data/training/_temporary/a.csv", "data/training/a.csv"], 1, "nor is what lies in a hidden folder"),
    (["data/training/als_spec.json", "data/training/rules.json", "data/training/a.csv"], 1, "nor spec and rules"),
    (["data/Online Retail.csv"], 1, "a file straight in input/data, as in the reference system"),
    (["data/Online Retail.csv/part-0.csv", "data/Online Retail.csv/_SUCCESS"], 1, "a folder named like a file"),
    (["data/a.csv", "data/rules/b.csv"], 1, "other channels are no sales"),
    (["data/training/a.csv", "data/b.csv"], 1, "a training channel stands above what lies beside it"),
]


@pytest.mark.parametrize(("names", "count", "why"), FOUND, ids=[why for *_, why in FOUND])
def test_sales_files_are_found(tmp_path: Path, names: list[str], count: int, why: str) -> None:
    files = lay(tmp_path, *names).sales_files()
    assert len(files) == count
    assert files == sorted(files)


MISSING = [
    ([], "give the job a channel named 'training', or set ALSRIAZ_ML_ROOT", "no input at all"),
    (["data/rules/rules.json"], "There is no channel 'training' in input/data", "only another channel"),
    (["data/training/sales.xlsx"], "found 'sales.xlsx'", "a file of another kind is named"),
    (["data/training/a.csv", "data/train/a.csv"], "two training channels", "both names of the channel"),
    ([f"data/training/{i}.txt" for i in range(7)], "'4.txt' and 2 more", "many other files are cut short"),
    (["data/sales_0"], "found 'sales_0'", "the FIFO of a channel of another name"),
]


@pytest.mark.parametrize(("names", "words", "why"), MISSING, ids=[why for *_, why in MISSING])
def test_missing_sales_are_told(tmp_path: Path, names: list[str], words: str, why: str) -> None:
    with pytest.raises(DataError) as caught:
        lay(tmp_path, *names).sales_files()
    assert words in str(caught.value)


def test_the_table_of_items_is_found_and_is_no_sales(tmp_path: Path) -> None:
    names = ("items/b.csv.gz", "items/deep/a.parquet", "items/_SUCCESS", "items/.a.csv.crc", "training/sales.csv")
    layout = lay(tmp_path, *(f"data/{name}" for name in names))
    assert [layout.shown(path) for path in layout.items_files()] == [
        "input/data/items/b.csv.gz",
        "input/data/items/deep/a.parquet",
    ]
    assert [path.name for path in layout.sales_files()] == ["sales.csv"]


def test_the_channel_items_may_be_absent_but_not_empty(tmp_path: Path) -> None:
    assert lay(tmp_path, "data/training/a.csv").items_files() == []
    layout = lay(tmp_path, "data/items/items.xlsx")
    with pytest.raises(DataError) as caught:
        layout.items_files()
    assert str(caught.value) == (
        "Channel 'items' holds no table of items: expected files that end in .csv, .csv.gz, .parquet, "
        "found 'items.xlsx'."
    )


def test_links_lead_to_each_file_once_and_never_round_in_circles(tmp_path: Path) -> None:
    layout = lay(tmp_path, "data/training/a.csv")
    training = tmp_path / "input" / "data" / "training"
    (training / "again.csv").symlink_to("a.csv")
    (training / "loop").symlink_to(".")
    (training / "gone.csv").symlink_to("nowhere")
    os.mkfifo(training / "pipe.csv")
    assert len(layout.sales_files()) == 1


@pytest.mark.parametrize("place", ["config", "data/spec", "data/training", "data/train", "data"])
def test_the_spec_is_found_in_each_of_its_places(tmp_path: Path, place: str) -> None:
    found = lay(tmp_path, f"{place}/als_spec.json").spec_file()
    assert found == tmp_path / "input" / place / "als_spec.json"


@pytest.mark.parametrize("place", ["config", "data/spec", "data/rules", "data/training"])
def test_the_rules_are_found_in_each_of_their_places(tmp_path: Path, place: str) -> None:
    found = lay(tmp_path, f"{place}/rules.json").rules_file()
    assert found == tmp_path / "input" / place / "rules.json"


def test_two_of_one_are_an_error(tmp_path: Path) -> None:
    layout = lay(tmp_path, "config/als_spec.json", "data/spec/als_spec.json")
    with pytest.raises(SpecError, match=r"2 files named als_spec.json: input/config/als_spec.json and input/data/spec"):
        layout.spec_file()
    assert layout.rules_file() is None


PIPED = [
    ((), ["data/training/a.csv"], "training", "a folder"),
    ((), ["data/a.csv"], None, "sales straight in input/data"),
    (("training",), [], "training", "Pipe mode makes no folder"),
    (("train", "spec"), [], "train", "the other name, beside another channel in Pipe mode"),
    (("training",), ["data/training/x"], "training", "one channel, though there is a folder too"),
]


@pytest.mark.parametrize(("piped", "names", "channel", "why"), PIPED, ids=[why for *_, why in PIPED])
def test_the_training_channel(
    tmp_path: Path, piped: tuple[str, ...], names: list[str], channel: str | None, why: str
) -> None:
    assert lay(tmp_path, *names).training_channel(piped) == channel


def test_two_training_channels_in_different_modes_are_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two training channels"):
        lay(tmp_path, "data/training/a.csv").training_channel({"train"})


def test_a_pipe_counts_as_the_file_it_gives(tmp_path: Path) -> None:
    layout = lay(tmp_path, "config/rules.json")
    assert layout.spec_file({"spec", "rules"}) == tmp_path / "input" / "data" / "spec_0"
    with pytest.raises(SpecError, match=r"2 files named rules.json: input/config/rules.json and input/data/rules_0\."):
        layout.rules_file({"rules"})
    assert layout.rules_file({"training"}) == tmp_path / "input" / "config" / "rules.json"


def test_the_base_folder_comes_from_the_environment(tmp_path: Path) -> None:
    assert Layout.from_environment({"ALSRIAZ_ML_ROOT": str(tmp_path)}).failure == tmp_path / "output" / "failure"
    assert Layout.from_environment({}).model == Path("/opt/ml/model")
