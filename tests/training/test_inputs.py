"""Channels in Pipe mode, through real FIFOs that a thread feeds."""

import errno
import gzip
import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alsriaz.errors import DataError
from alsriaz.platform.channels import Channel
from alsriaz.platform.layout import Layout
from alsriaz.platform.spec import parse_spec
from alsriaz.tables.sales import SalesKind
from alsriaz.training.inputs import MOST_JSON, Inputs, copy_table, open_pipe
from tests.train_process import feeding

H, A, B = b"customer,item,quantity,date\n", b"a,x,1,2011-01-01\n", b"b,y,2,2011-01-02\n"
GZ = gzip.compress


def parquet(*customers: str) -> bytes:
    stream = io.BytesIO()
    columns = {"customer": list(customers), "item": ["x"] * len(customers)}
    pq.write_table(
        pa.table(columns | {"quantity": [1] * len(customers), "date": ["2011-01-01"] * len(customers)}), stream
    )
    return stream.getvalue()


@contextmanager
def piped(root: Path, **contents: bytes) -> Iterator[Inputs]:
    """Feed channels through FIFOs, and give the inputs that read them."""
    layout = Layout(root / "ml")
    copies = root / "copies"
    copies.mkdir()
    with feeding({layout.pipe(name): content for name, content in contents.items()}):
        channels = {name: Channel(piped=True) for name in contents}
        yield Inputs(layout, channels, copies, lambda text: None)


def sales_of(inputs: Inputs) -> Path:
    (path,) = inputs.readable(inputs.sales_files(), parse_spec({}))
    return path


ONE = parquet("a", "b")
SALES: list[tuple[bytes, str, bytes, str]] = [
    (H + A + H + B, "training_0.csv", H + A + B, "CSV objects end to end"),
    (GZ(H + A) + GZ(H + B), "training_0.csv", H + A + B, "gzip members end to end"),
    (GZ(H + A[:-1]) + GZ(H + B), "training_0.csv", H + A + B, "gzip, and a row without a line end"),
    (GZ(H + A) + bytes(512) + GZ(H + B), "training_0.csv", H + A + B, "gzip members with padding between"),
    (GZ(H) + GZ(A) + GZ(b"") + GZ(B), "training_0.csv", H + A + B, "one object of several gzip members"),
    (ONE, "training_0.parquet", ONE, "one Parquet object"),
    (GZ(ONE), "training_0.parquet", ONE, "Parquet that was packed once more"),
    (A, "training_0.csv", A, "no header"),
]


@pytest.mark.parametrize(("stream", "name", "content", "why"), SALES, ids=[why for *_, why in SALES])
def test_sales_are_told_by_their_content(tmp_path: Path, stream: bytes, name: str, content: bytes, why: str) -> None:
    with piped(tmp_path, training=stream) as inputs:
        path = sales_of(inputs)
        assert path == tmp_path / "copies" / name
        assert path.read_bytes() == content
        inputs.drop_copies()
        assert not path.exists()


REFUSED = [
    (b"", "Channel 'training' gave nothing through its pipe: is there an object at its S3 URI?", "nothing"),
    (GZ(b""), "Channel 'training' gave nothing through its pipe", "nothing, packed"),
    (ONE + ONE, "Channel 'training' gives several Parquet files end to end", "Parquet objects end to end"),
    (ONE + parquet("c"), "can't be told apart: use File or FastFile mode, or one file.", "of different sizes"),
    (GZ(H + A)[:-9], "Channel 'training' can't be unpacked: Compressed file ended", "gzip cut short"),
    (GZ(H + A) + H + B, "In Pipe mode either all its objects are whole gzip files or none is", "gzip, then plain"),
    (GZ(H + A)[:10] + b"\x06" * 60, "Channel 'training' can't be unpacked: Error -3", "damaged gzip"),
    (
        b"\x0a\x23\xd7\xce" + bytes(60),
        "set RecordWrapperType (record_wrapping in the SDK) to None.",
        "RecordIO, unsaid",
    ),
    (b"BZh9" + bytes(60), "training_0 is no CSV text but compressed with bzip2", "bzip2"),
]


@pytest.mark.parametrize(("stream", "words", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_sales_that_can_not_be_used(tmp_path: Path, stream: bytes, words: str, why: str) -> None:
    with piped(tmp_path, training=stream) as inputs, pytest.raises(DataError) as caught:
        sales_of(inputs)
    assert words in str(caught.value)


def test_megabytes_of_parquet_are_cut_anywhere(tmp_path: Path) -> None:
    """The marks that tell two files apart may lie on both sides of a read, however the bytes come."""
    first = parquet(*(f"{i * 7919 % 1_000_003}" for i in range(300_000)))
    assert len(first) > 1 << 20
    padding = b"PAR1" + bytes((1 << 20) - 8) + b"PAR"
    for stream in (first + first, padding + b"1PAR1" + bytes(20)):
        source = io.BytesIO(stream)
        with pytest.raises(DataError, match="several Parquet files"):
            copy_table(source, "training", tmp_path, SalesKind(parse_spec({}), "training_0"), lambda text: None)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with piped(tmp_path, training=H + A * 100_000) as inputs:
        (tmp_path / "copies" / "training_0.csv").symlink_to("/dev/full")
        with pytest.raises(DataError) as caught:
            sales_of(inputs)
    assert "There is no space left after 0 MB of channel 'training'." in str(caught.value)
    assert "give the job a larger volume (VolumeSizeInGB)." in str(caught.value)


def test_another_trouble_with_the_disk_stays_what_it_is(tmp_path: Path) -> None:
    with piped(tmp_path, training=H + A) as inputs:
        inputs.drop_copies()
        with pytest.raises(OSError) as caught:
            sales_of(inputs)
    assert caught.value.errno == errno.ENOENT


def test_spec_and_rules_come_through_pipes_too(tmp_path: Path) -> None:
    with piped(tmp_path, spec=b' {"als_rank": 3}\n', rules=b'{"exclude": {"popular": 1}}', train=H + A) as inputs:
        spec, rules = inputs.spec_file(), inputs.rules_file()
        assert spec is not None
        assert rules is not None
        assert (spec.name, spec.read_bytes()) == ("als_spec.json", b' {"als_rank": 3}\n')
        assert (rules.name, rules.read_bytes()) == ("rules.json", b'{"exclude": {"popular": 1}}')
        assert sales_of(inputs).name == "train_0.csv"


BAD_JSON = [
    (b" \n", "Channel 'spec' gave nothing through its pipe, expected one JSON object.", "nothing"),
    (b'{"a": 1}\n{"exclude": {}}', "Channel 'spec' gave more than one JSON object through its pipe", "two objects"),
    (b" " * (MOST_JSON + 1) + b"{}", "Channel 'spec' gave more than 16 MB through its pipe", "sales by mistake"),
]


@pytest.mark.parametrize(("stream", "words", "why"), BAD_JSON, ids=[why for *_, why in BAD_JSON])
def test_a_spec_that_can_not_be_used(tmp_path: Path, stream: bytes, words: str, why: str) -> None:
    with piped(tmp_path, spec=stream) as inputs, pytest.raises(DataError) as caught:
        inputs.spec_file()
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["training", "spec", "rules"])
def test_record_io_is_refused_before_anything_is_opened(tmp_path: Path, name: str) -> None:
    channels = {"training": Channel(piped=True), name: Channel(piped=True, record_io=True)}
    inputs = Inputs(Layout(tmp_path), channels, tmp_path, lambda text: None)
    with pytest.raises(DataError, match=f"Channel '{name}' comes as RecordIO, expected plain CSV or Parquet: set Rec"):
        _ = inputs.spec_file(), inputs.rules_file(), inputs.sales_files()


def test_the_fifo_may_be_made_late_and_its_writer_may_come_later_still(tmp_path: Path) -> None:
    path = tmp_path / "training_0"

    def make_and_feed() -> None:
        time.sleep(0.3)
        os.mkfifo(path)
        time.sleep(0.3)
        path.write_bytes(A)

    told: list[str] = []
    feeder = threading.Thread(target=make_and_feed)
    feeder.start()
    with open_pipe(path, "training", told.append) as stream:
        assert stream.read(100) == A
    feeder.join()
    assert told == ["channel 'training' is in Pipe mode: reading it through training_0"]


def test_a_fifo_that_never_comes(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught, open_pipe(tmp_path / "rules_0", "rules", lambda text: None, patience=0.2):
        pass
    assert str(caught.value) == (
        "Channel 'rules' is in Pipe mode, but there was no FIFO input/data/rules_0 within 0.2 seconds: if its data lie "
        "in a folder, set TrainingInputMode to File."
    )


def test_a_folder_in_the_place_of_the_fifo(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="input/data/x_0 is a folder, expected the FIFO of channel 'x' in Pipe mode"):
        (tmp_path / "x_0").mkdir()
        with open_pipe(tmp_path / "x_0", "x", lambda text: None):
            pass


def test_a_signal_ends_the_wait_for_a_writer(tmp_path: Path) -> None:
    class Rung(BaseException):
        pass

    def ring(number: int, frame: object) -> None:
        raise Rung

    os.mkfifo(tmp_path / "training_0")
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(Rung), open_pipe(tmp_path / "training_0", "training", lambda text: None):
            pass
    finally:
        signal.signal(signal.SIGALRM, before)
