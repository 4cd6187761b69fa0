"""Tables from files as people have them: the same numbers and labels, or a refusal with the line."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestbench.sim.errors import InvalidInput
from nestbench.sim.tables.notation import MISSING
from nestbench.sim.tables.reading import read_table, table_of
from nestbench.sim.tables.usable import values_of

BASE = pd.DataFrame(
    {
        "y": [1.5, -2.25, 3.0, 4.125],
        "x": [1.0, 2.0, np.nan, 4.0],
        "sex": ["f", "m", "m", "f"],
        "school": ["01", "1", "1E1", "123456789012345678"],
    }
)


def csv_of(separator: str = ",", **options: object) -> str:
    return BASE.to_csv(index=False, sep=separator, **options)  # type: ignore[call-overload,no-any-return]


VARIANTS: dict[str, Callable[[], bytes]] = {
    "comma": lambda: csv_of().encode(),
    "semicolon": lambda: csv_of(";").encode(),
    "tab": lambda: csv_of("\t").encode(),
    "bar": lambda: csv_of("|").encode(),
    "mark": lambda: csv_of().encode("utf-8-sig"),
    "utf-16": lambda: csv_of().encode("utf-16"),
    "utf-16 big": lambda: ("\ufeff" + csv_of()).encode("utf-16-be"),
    "gzip": lambda: gzip.compress(csv_of().encode()),
    "bzip2": lambda: bz2.compress(csv_of().encode()),
    "xz": lambda: lzma.compress(csv_of().encode()),
    "windows lines": lambda: csv_of().replace("\n", "\r\n").encode(),
    "blanks": lambda: csv_of().replace(",", " , ").encode(),
    "quoted": lambda: csv_of(quoting=1).encode(),
    "trailing comma": lambda: csv_of().replace("\n", ",\n").replace("school,\n", "school\n").encode(),
    "trailing comma everywhere": lambda: csv_of().replace("\n", ",\n").encode(),
    "dots for missing": lambda: csv_of(na_rep=".").encode(),
    "NA for missing": lambda: csv_of(na_rep="NA").encode(),
    "decimal commas": lambda: csv_of(";").replace(".", ",").encode(),
    "empty lines": lambda: (csv_of() + "\n\n").encode(),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_way_to_write_a_table_reads_the_same(variant: str, tmp_path: Path) -> None:
    """Labels stay labels: none is merged with another by way of a number."""
    file = tmp_path / "data.csv"
    file.write_bytes(VARIANTS[variant]())
    found = read_table(file, ["school"]).frame
    pd.testing.assert_frame_equal(
        found.astype({"sex": object, "school": object}), BASE.astype({"sex": object, "school": object})
    )


def test_latin_1_is_said(tmp_path: Path) -> None:
    """A file that isn't UTF-8 is read as what most such files are."""
    file = tmp_path / "data.csv"
    file.write_bytes("école,y\nMünchen,1\nNîmes,2\n".encode("latin-1"))
    found = read_table(file)
    assert list(found.frame["école"]) == ["München", "Nîmes"]
    assert "Windows-1252" in found.messages[""]


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "data.csv"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n1,2,3\n", "expected 2 fields .* got 3 in line 3"),
        ("a,b\n1,2\n1\n", "expected 2 fields .* got 1 in line 3"),
        ("a,b\n1,2\n1,2,\n", "got 3 in line 3"),
        ("", "got none"),
        ("a,b\n", "got none"),
        ("a\x00b\n1\n", "binary data"),
    ],
)
def test_lines_that_do_not_fit_are_named(text: str, words: str, tmp_path: Path) -> None:
    """No column is shifted without a word."""
    with pytest.raises(InvalidInput, match=words):
        read_table(write(tmp_path, text))


def test_slips_are_named_with_row_and_value(tmp_path: Path) -> None:
    """A column of numbers with one word in it is text; that is said with the row."""
    rows = "".join(f"{i}\n" for i in range(50))
    found = read_table(write(tmp_path, f"age\n{rows}n.a.x\n"))
    assert found.messages["age"] == "'age' is text, not numbers, because of 1 of 51 values: 'n.a.x' in row 52"
    assert read_table(write(tmp_path, "age\n1\nw\nx\n")).messages == {}


def test_truth_values_with_gaps(tmp_path: Path) -> None:
    """A gap doesn't turn true and false into words."""
    frame = read_table(write(tmp_path, "passed,y\nTRUE,1\nfalse,2\n,3\n")).frame
    assert frame["passed"].tolist()[:2] == [1.0, 0.0]
    assert np.isnan(frame["passed"].iloc[2])


def test_almost_equal_labels_are_named(tmp_path: Path) -> None:
    """Blanks around labels go; what differs in case or inside stays apart, and is said."""
    found = read_table(write(tmp_path, "school\nS1\n S1 \ns1\n"), ["school"])
    assert found.frame["school"].tolist() == ["S1", "S1", "s1"]
    assert found.messages["school"] == "'school' has the labels 'S1' and 's1', taken as different"


@pytest.mark.parametrize("suffix", [".parquet", ".dta"])
def test_other_formats(suffix: str, tmp_path: Path) -> None:
    """What pandas reads."""
    file = tmp_path / f"data{suffix}"
    frame = pd.DataFrame({"y": [1.0, 2.0], "school": ["a", "b"]})
    frame.to_parquet(file) if suffix == ".parquet" else frame.to_stata(file, write_index=False)
    assert read_table(file).frame["y"].tolist() == [1.0, 2.0]
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(InvalidInput, match=f"expected a {suffix} file"):
        read_table(file)


@pytest.mark.posix
def test_what_is_no_file(tmp_path: Path) -> None:
    """Refused at once: a pipe isn't waited for."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "absent", "."):
        with pytest.raises(InvalidInput, match="expected a table in a file"):
            read_table(tmp_path / name)


@given(st.binary(max_size=200) | st.text(alphabet="ab1,;\"\n\r\t '.", max_size=80).map(str.encode))
def test_any_bytes_are_a_table_or_refused(data: bytes) -> None:
    """No file ends in another error."""
    file = Path(os.environ.get("TMPDIR", "/tmp")) / f"nestbench-table-{os.getpid()}.csv"
    file.write_bytes(data)
    try:
        frame = read_table(file, ["a"]).frame
        assert len(frame)
    except InvalidInput:
        pass
    finally:
        file.unlink()


WAYS = st.fixed_dictionaries(
    {
        "separator": st.sampled_from(",;\t|"),
        "decimal": st.sampled_from(".,"),
        "thousands": st.booleans(),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        "missing": st.sampled_from(["", "NA", "n/a", "NULL", ".", "#DIV/0!", "NaN", "na"]),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"]),
        "newline": st.sampled_from(["\n", "\r\n", "\r"]),
        "first": st.sampled_from(["", "sep", "# made by a program", "\n"]),
        "last": st.sampled_from(["", "\n\n", "   \n", "\x1a"]),
        "over": st.integers(0, 2),
        "gzip": st.booleans(),
    }
)


def number_text(value: float, way: dict[str, Any]) -> str:
    if np.isnan(value):
        return str(way["missing"])
    text = f"{value:,.2f}" if way["thousands"] else f"{value:.2f}"
    other = "." if way["decimal"] == "," else ","
    return text.replace(",", "\0").replace(".", way["decimal"]).replace("\0", other)


def bytes_of(frame: pd.DataFrame, way: dict[str, Any]) -> bytes:
    """Write a table in one of the ways people's programs do."""
    out = io.StringIO()
    if way["first"] == "sep":
        out.write(f"sep={way['separator']}{way['newline']}")
    elif way["first"]:
        out.write(way["first"].replace("\n", "") + way["newline"])
    pen = csv.writer(out, delimiter=way["separator"], quoting=way["quoting"], lineterminator=way["newline"])
    pen.writerow(frame.columns)
    for row in frame.itertuples(index=False):
        texts = [number_text(v, way) if isinstance(v, float) else v for v in row]
        pen.writerow([*texts, *[""] * way["over"]])
    out.write(way["last"].replace("\n", way["newline"]))
    data = out.getvalue().encode(way["encoding"])
    return gzip.compress(data) if way["gzip"] else data


rows = st.lists(
    st.tuples(
        st.sampled_from(["01", "1", "10", "1E1", "Nîmes, 2", 'so "called"', "123456789012345678"]),
        st.integers(-(10**8), 10**8).map(lambda k: k / 100) | st.just(float("nan")),
        st.sampled_from(["f", "m"]),
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(rows, WAYS)
def test_a_table_is_the_same_however_it_is_written(lines: list[Any], way: dict[str, Any]) -> None:
    """Separators, decimals, encodings, quotes, words for missing, comments and packing change nothing."""
    frame = pd.DataFrame([*lines, ("02", 1234567.25, "m")], columns=["school", "y", "sex"])
    data = bytes_of(frame, way)
    found = table_of(Path("data.csv"), gzip.decompress(data) if way["gzip"] else data, ["school"]).frame
    labels = {"school": object, "sex": object}
    pd.testing.assert_frame_equal(found.astype(labels), frame.astype(labels))


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="abzXY.-?#/ 0159%€,'", min_size=1, max_size=6), st.integers(0, 9))
def test_one_odd_value_among_numbers_is_never_passed_over(word: str, place: int) -> None:
    """It is a number, missing and said or left empty, or makes the column text, which is said with its row."""
    texts = [f"{k}.25" for k in range(10)]
    texts[place] = word
    out = io.StringIO()
    csv.writer(out).writerows([["x"], *[[text] for text in texts]])
    found = table_of(Path("data.csv"), out.getvalue().encode())
    if word.strip() == "" or not word.strip("\0"):
        return
    values, said = found.frame["x"], found.messages.get("x", "")
    if pd.api.types.is_numeric_dtype(values.dtype):
        kept = values.drop(index=place) if len(values) == 10 else values
        assert kept.tolist() == [k + 0.25 for k in range(10) if k != place]
        odd = values.iloc[place]
        known = pd.to_numeric(pd.Series([word.strip()]), errors="coerce").iloc[0]
        assert odd == known or (np.isnan(odd) and (said or word.strip().casefold() in MISSING)) or said
    else:
        assert f"in row {place + 2}" in said, (word, said)


def test_ambiguous_thousands_wait_for_the_column_to_be_used(tmp_path: Path) -> None:
    found = read_table(write(tmp_path, "y;x\n7,288;1\n6,123;2\n"))
    assert found.frame["y"].tolist() == ["7,288", "6,123"]
    with pytest.raises(InvalidInput, match=r"'7,288', which may be 7\.288 or 7288"):
        values_of(found.frame["y"], "y")


def test_words_read_as_missing_among_labels_are_named(tmp_path: Path) -> None:
    """NA may be Namibia."""
    found = read_table(write(tmp_path, "land,y\nNA,1\nBW,2\nNA,3\n"), ["land"])
    assert found.messages["land"] == "'land' holds 'NA' (2), read as missing"


def test_a_last_column_without_a_name_keeps_its_values(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, "y,\n1,2\n3,4\n")).frame["column 2"].tolist() == [2.0, 4.0]


@pytest.mark.parametrize("name", ["data.rds", "data.RData.gz"])
def test_files_of_r_say_what_to_type_there(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x1f\x8b")
    with pytest.raises(
        InvalidInput, match=rf"got {name}; in R: .*'{name}'.*'table\.csv', row\.names = FALSE"
    ):
        read_table(tmp_path / name)


@pytest.mark.parametrize("name", ["data.feather", "data.xls", "data.sas7bdat"])
def test_other_kinds_of_files_are_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x00\x01")
    with pytest.raises(InvalidInput, match=f"got {name}; save the table as one of these"):
        read_table(tmp_path / name)


def test_value_labels_of_some_values_leave_numbers(tmp_path: Path) -> None:
    """What 9 means is a label; 1, 2 and 3 are numbers. Labels that stand for two values tell nothing apart."""
    frame = pd.DataFrame(
        {"w": np.array([1, 2, 3, 9], dtype="int8"), "s": np.array([1, 2, 3, 4], dtype="int8")}
    )
    frame.to_stata(tmp_path / "some.dta", write_index=False, value_labels={"w": {9: "refused"}})
    found = read_table(tmp_path / "some.dta")
    assert found.frame["w"].tolist() == [1, 2, 3, 9]
    assert "'refused'" in found.messages["w"]
    twice = {"s": {1: "a", 2: "a", 3: "b", 4: "c"}}
    frame.to_stata(tmp_path / "twice.dta", write_index=False, value_labels=twice)
    found = read_table(tmp_path / "twice.dta")
    assert found.frame["s"].tolist() == [1, 2, 3, 4]
    assert "value labels" in found.messages[""]


def test_the_index_of_a_parquet_file_is_a_column(tmp_path: Path) -> None:
    pd.DataFrame({"y": [1.0, 2.0]}, index=pd.Index(["a", "b"], name="school")).to_parquet(
        tmp_path / "a.parquet"
    )
    assert read_table(tmp_path / "a.parquet").frame["school"].tolist() == ["a", "b"]


def test_excel_says_which_sheet_and_keeps_names_that_occur_twice(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame([[1, 2], [3, 4]], columns=["y", "y"])
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        frame.to_excel(book, sheet_name="all", index=False)
        frame.to_excel(book, sheet_name="more", index=False)
    found = read_table(tmp_path / "a.xlsx")
    assert list(found.frame.columns) == ["y", "y"]
    assert found.messages[""] == "read the first of 2 sheets, 'all'"


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_damaged_packed_files_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    """One bit anywhere: zlib, bzip2 and xz each have errors of their own."""
    file = tmp_path / f"data.csv.{kind}"
    pd.DataFrame({"school": ["a", "b"] * 6, "grade": range(12)}).to_csv(file, index=False)
    packed = file.read_bytes()
    refused = 0
    for place in range(len(packed)):
        file.write_bytes(packed[:place] + bytes([packed[place] ^ (1 << place % 8)]) + packed[place + 1 :])
        try:
            read_table(file)
        except InvalidInput:
            refused += 1
    assert refused > len(packed) // 2
