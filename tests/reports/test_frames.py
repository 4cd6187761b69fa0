"""CSV for spreadsheets: texts never become formulas, numbers stay numbers."""

from __future__ import annotations

import io

import pandas as pd

from nestbench.reports.frames import csv_of


def test_texts_that_a_spreadsheet_would_run() -> None:
    """An apostrophe stands before them; numbers, also as texts, are left as they are."""
    frame = pd.DataFrame(
        {
            "a": ["=HYPERLINK(1)", "@x", "+cmd", "-2.5", "plain"],
            "b": [-1.0, 2.0, 3.0, 4.0, 5.5],
            "=c": range(5),
        }
    )
    read = pd.read_csv(io.StringIO(csv_of(frame)), dtype={"a": str})
    assert list(read.columns) == ["a", "b", "'=c"]
    assert read["a"].tolist() == ["'=HYPERLINK(1)", "'@x", "'+cmd", "-2.5", "plain"]
    assert read["b"].tolist() == frame["b"].tolist()


def test_texts_that_stand_in_many_rows() -> None:
    """Of pandas' own kind of text, missing ones among them, as of any other."""
    texts = ["=a", None, "b", "=a", "b", None]
    frames = [pd.DataFrame({"t": pd.array(texts, dtype=kind)}) for kind in ("str", object)]
    assert csv_of(frames[0]) == csv_of(frames[1]) == 't\n\'=a\n""\nb\n\'=a\nb\n""\n'
