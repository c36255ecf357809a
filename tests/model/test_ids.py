import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.model.ids import IdTable, pack_ids

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.sets(ids, max_size=30), ids)
def test_ids_and_positions_are_each_others_inverse(known: set[str], stranger: str) -> None:
    ordered = sorted(known)
    table = IdTable(*pack_ids(ordered))
    assert len(table) == len(ordered)
    assert [table.id_at(position) for position in range(len(table))] == ordered
    assert [table.position_of(outside_id) for outside_id in ordered] == list(range(len(ordered)))
    assert table.position_of(stranger) == (ordered.index(stranger) if stranger in known else None)
    assert table.positions_of([stranger, *reversed(ordered)]).tolist() == (
        [ordered.index(stranger)] if stranger in known else []
    ) + list(reversed(range(len(ordered))))
    assert table.position_of("") is None


@given(st.sets(st.text("ab", min_size=1, max_size=6), min_size=1, max_size=40), st.sampled_from([1, 3, 40]))
def test_ids_within_ids_are_told_apart(known: set[str], length: int) -> None:
    ordered = sorted(name * length for name in known)
    table = IdTable(*pack_ids(ordered), signposts=2)  # many ids lie between two, and long ones beyond what is read
    positions = {name: position for position, name in enumerate(ordered)}
    for wanted in [*ordered, *(name[:-1] for name in ordered), *(name[1:] for name in ordered)]:
        assert table.position_of(wanted) == positions.get(wanted)


@pytest.mark.parametrize("unordered", [["b", "a"], ["a", "a"]], ids=["not in order", "not unique"])
def test_ids_must_be_in_order_and_unique(unordered: list[str]) -> None:
    with pytest.raises(ValueError, match="unique and in code-point order"):
        pack_ids(unordered)
