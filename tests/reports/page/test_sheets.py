"""Tables laid out for a page: every entry once, no sheet wider than the page, long words in their place."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nestbench.reports.page.sheets import Sheet, fit_across, sheets

WORDS = st.sampled_from(["ICC 0.2", "10 schools", "grade ~ " + " + ".join(["age"] * 20), "x" * 40])
CONDITIONS = st.lists(st.lists(WORDS, min_size=1, max_size=4), min_size=1, max_size=40)


def entries(sheet: Sheet) -> list[tuple[str, int]]:
    """(Method, cell) of each entry, by the names at its row and above its column."""
    found = []
    for group in sheet.groups:
        for name, line in group.rows:
            for column, entry in enumerate(line):
                label = name if sheet.corner == "Method" else sheet.heads[0][column][0]
                assert entry["text"] == f"{label} {entry['cell']}"
                found.append((label, entry["cell"]))
    return found


@given(CONDITIONS, st.integers(1, 30), st.booleans())
@settings(max_examples=50)
def test_every_entry_stands_once_below_its_condition(
    conditions: list[list[str]], methods: int, across: bool
) -> None:
    labels = [f"m{i}" for i in range(methods)]
    rows = [(label, [{"text": f"{label} {i}"} for i in range(len(conditions))]) for label in labels]
    (found,) = sheets(conditions, {"age": rows}, across).values()
    assert sorted(one for sheet in found for one in entries(sheet)) == sorted(
        (label, i) for label in labels for i in range(len(conditions))
    )
    for sheet in found:
        assert all(sum(span for _, span in head) + 1 == sheet.columns for head in sheet.heads)
        if sheet.corner == "Condition":
            told = [(g.words, name, line[0]["cell"]) for g in sheet.groups for name, line in g.rows]
            assert [i for *_, i in told] == list(range(len(conditions)))
            assert all(", ".join(w for w in (a, b) if w) == ", ".join(conditions[i]) for a, b, i in told)


def test_short_conditions_stand_across_and_long_ones_down() -> None:
    rows: Any = [("ols", [{"text": "93.3"}] * 9), ("reml-satt", [{"text": "95.0"}] * 9)]
    short = [[f"{n} schools", f"ICC {icc}"] for n in (6, 10, 30) for icc in (0, 0.05, 0.2)]
    assert fit_across(short, [{"age": rows}])
    assert [span for _, span in sheets(short, {"age": rows}, True)["age"][0].heads[0]] == [3, 3, 3]
    long = [[n, "formula grade ~ " + " + ".join(["resources"] * i)] for n in "ab" for i in range(4, 8)]
    eight: Any = [(label, line[:8]) for label, line in rows]
    assert not fit_across(long, [{"age": eight}])
    (sheet,) = sheets(long, {"age": eight}, False)["age"]
    assert [group.words for group in sheet.groups] == ["a", "b"]
