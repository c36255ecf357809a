from pathlib import Path

import pytest

from alsriaz.model.folder import verify_model
from alsriaz.model.writer import writing_model
from tests.small_models import shop


def test_the_last_moment_to_give_up_comes_when_all_is_verified_and_nothing_is_in_place(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    old = shop().write(folder)
    names = {path.name for path in folder.iterdir()}

    def give_up() -> None:
        assert verify_model(folder / ".unfinished").values["made_by"] == "another test"
        assert verify_model(folder) == old.manifest
        raise KeyboardInterrupt

    facts = {name: old.manifest.values[name] for name in ("spec", "counts", "dates")} | {"made_by": "another test"}
    with pytest.raises(KeyboardInterrupt), writing_model(folder) as writer:
        writer.write(old.arrays, {})
        writer.finish(facts, give_up)
    assert verify_model(folder) == old.manifest
    assert {path.name for path in folder.iterdir()} == names
