import io
import os
import tempfile
from pathlib import Path

import pytest

from alsriaz.errors import RequestError
from alsriaz.serving.wire import receive

LENGTHS = [0, 1, 1 << 18, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20]


class Dribble(io.BytesIO):
    """Gives less than was asked for, as a socket does."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 70_001))


@pytest.mark.parametrize("length", LENGTHS)
def test_a_body_is_as_it_was_sent(length: int) -> None:
    sent = os.urandom(length)
    with receive(Dribble(sent)) as body:
        assert body.read() == sent


def test_a_long_body_is_not_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with receive(io.BytesIO(b"x" * (1 << 20))) as body:
        assert isinstance(body, io.BytesIO)
    with receive(io.BytesIO(b"x" * (2 << 20))) as body:
        assert not isinstance(body, io.BytesIO)
        assert os.fstat(body.fileno()).st_size == 2 << 20
        assert not list(tmp_path.iterdir()), "a file without a name: nothing is left whatever ends us"


def test_no_room_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(RequestError, match=r"can't be stored \(No such file or directory\): send it in smaller parts"):
        receive(io.BytesIO(b"x" * (2 << 20)))
