"""Tables from files as people have them: the same numbers and labels, or a refusal with the line."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestbench.sim.errors import InvalidInput
from nestbench.sim.tables import read_table

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
    assert read_table(write(tmp_path, "age\n1\nn.a.\nx\n")).messages == {}


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
