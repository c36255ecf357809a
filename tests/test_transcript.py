"""The transcript in docs/http-api.md is what a model answers that `train` makes now, and shows what it says it does."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs.make_transcript import BEGIN, END, PAGE, QUESTIONS, SPEC, ask, lay_out_groceries, page_with
from tests.serving.serving_process import Server, running_server
from tests.train_process import trained

pytestmark = [pytest.mark.spark, pytest.mark.process]

WRITTEN = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root: Path = tmp_path_factory.mktemp("ml")
    lay_out_groceries(root)
    trained(root)
    with running_server({"ALSRIAZ_ML_ROOT": str(root), "ALSRIAZ_WORKERS": "1"}) as server:
        yield server


def read(transcript: str) -> list[Any]:
    """Return a transcript's lines, each entry of an answer as the object that it is."""
    lines = transcript.splitlines()
    return [json.loads(line) if line.startswith("{") and line.endswith("}") else line for line in lines]


def roughly(line: Any) -> Any:
    """Return an entry that is equal to one whose scores differ by the last bits of another BLAS."""
    if not isinstance(line, dict):
        return line
    return {name: pytest.approx(value, abs=1e-4) if isinstance(value, float) else value for name, value in line.items()}


def test_the_transcript_is_what_a_model_trained_now_answers(server: Server) -> None:
    now = read(ask(server))
    assert read(WRITTEN) == [roughly(line) for line in now], (
        "run: PYTHONPATH=container:. python docs/make_transcript.py"
    )
    assert len([line for line in now if isinstance(line, dict)]) == sum(one.request["k"] for one in QUESTIONS)


def test_the_answers_show_what_the_questions_say(server: Server) -> None:
    answers = [
        server.request("POST", "/invocations", json.dumps(one.request), {"Content-Type": "application/json"}).json()
        for one in QUESTIONS
    ]
    cheap, varied, audience, explained = (answer[one.shown] for answer, one in zip(answers, QUESTIONS, strict=True))
    assert all(entry["attributes"]["price"] < 2 for entry in cheap)
    assert max(Counter(entry["attributes"]["department"] for entry in varied).values()) == 2
    assert [entry["score"] for entry in audience] == sorted((entry["score"] for entry in audience), reverse=True)
    rest = answers[-1]["others"]["contribution"]
    assert sum(entry["contribution"] for entry in explained) + rest == pytest.approx(answers[-1]["score"], abs=1e-4)
    eggs = next(entry for entry in cheap if entry["item"] == answers[-1]["item"])
    assert eggs["score"] == answers[-1]["score"]


def test_the_page_says_how_the_model_was_trained_and_is_as_it_would_be_written() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"`{json.dumps(SPEC)}`" in page
    assert page_with(WRITTEN) == page
