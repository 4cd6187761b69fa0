"""Files that are packed: what is damaged is refused where a checksum can tell, and so is what would fill the memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nestbench.sim.errors import InvalidInput
from nestbench.sim.tables import packed
from nestbench.sim.tables.packed import require_few_cells, require_no_bomb, unpacked
from nestbench.sim.tables.reading import table_of

FRAME = pd.DataFrame({"school": [f"s{i % 9}" for i in range(200)], "grade": np.arange(200) % 37 + 0.25})


def excel() -> bytes:
    pytest.importorskip("openpyxl")
    out = io.BytesIO()
    FRAME.to_excel(out, index=False)
    return out.getvalue()


def parquet(checksums: bool) -> bytes:
    out = io.BytesIO()
    table = pa.Table.from_pandas(FRAME, preserve_index=False)
    pq.write_table(table, out, write_page_checksum=checksums)
    return out.getvalue()


def stata() -> bytes:
    out = io.BytesIO()
    FRAME.to_stata(out, write_index=False)
    return out.getvalue()


def text() -> bytes:
    return FRAME.to_csv(index=False).encode()


FILES: dict[str, Callable[[], bytes]] = {
    "data.csv.gz": lambda: gzip.compress(text()),
    "data.csv.bz2": lambda: bz2.compress(text()),
    "data.csv.xz": lambda: lzma.compress(text()),
    "data.xlsx": excel,
    "data.parquet": lambda: parquet(checksums=True),
    "plain.parquet": lambda: parquet(checksums=False),
    "data.dta": stata,
}
SILENT = {"plain.parquet", "data.dta"}
"""Files without a checksum of their values."""


def harmed(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    kind = rng.randrange(4)
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + bytes(len(data[place : place + 40])) + data[place + 40 :]
    return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]


@pytest.mark.parametrize("name", FILES)
def test_damage_is_refused_or_harmless(name: str) -> None:
    """Each file, harmed in 60 ways: a sentence, or the very same values where values have a checksum."""
    whole, rng, refused = FILES[name](), random.Random(1), list[str]()
    values = table_of(Path(name), whole).frame["grade"].tolist()
    for _ in range(60):
        try:
            found = table_of(Path(name), harmed(whole, rng))
        except InvalidInput as error:
            refused.append(str(error))
        else:
            assert name in SILENT or ("grade" not in found.frame or found.frame["grade"].tolist() == values)
    assert len(refused) > 10
    assert not any("\n" in words for words in refused)


def test_an_spss_file_is_refused_or_read(tmp_path: Path) -> None:
    """Its reader is C code, and wants a path."""
    spss = pytest.importorskip("pyreadstat")
    file, rng, refused = tmp_path / "data.sav", random.Random(2), list[str]()
    spss.write_sav(FRAME, str(file))
    whole = file.read_bytes()
    for _ in range(60):
        file.write_bytes(harmed(whole, rng))
        try:
            table_of(file, file.read_bytes())
        except InvalidInput as error:
            refused.append(str(error))
    assert len(refused) > 5
    assert not any("\n" in words for words in refused)


def _sheet(*parts: tuple[bytes, int]) -> bytes:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book,
        book.open("xl/worksheets/sheet1.xml", "w") as sheet,
    ):
        for part, times in parts:
            sheet.write(part * times)
    return out.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lambda data: lzma.compress(data, preset=0)])
def test_a_small_file_that_becomes_a_large_one_is_refused(
    pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unpacked no further than the limit; what is larger in itself may become more."""
    monkeypatch.setattr(packed, "SMALL", 50_000)
    for line in (b"0", b"\n", b",", b"school,grade\n1,2\n"):
        with pytest.raises(InvalidInput, match="bytes from a file of"):
            unpacked(pack(line * 60_000))
    noise = random.Random(3).randbytes(150_000)
    assert unpacked(pack(noise)) == noise


def test_spreadsheets_that_become_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their size, or because two cells lie far apart: all between them would be filled."""
    require_no_bomb(_sheet((b'<row r="1"><c r="A1"/><c r="XFD1"/></row>', 1)))
    require_no_bomb(_sheet((b'<row r="1048576"><c r="AB1048576"/></row>', 1)))
    with pytest.raises(InvalidInput, match=r"at most 50,000,000 values"):
        require_no_bomb(
            _sheet((b'<row r="1"><c s="1" r="A1"/></row><row r="1048576"><c r="XFD1048576"/></row>', 1))
        )
    monkeypatch.setattr(packed, "SMALL", 100_000)
    with pytest.raises(InvalidInput, match=r"at most 100,000 bytes"):
        require_no_bomb(_sheet((b"<row><c><v>1</v></c></row>", 10_000)))


def test_tables_of_many_equal_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of one value takes a few bytes, however long it is."""
    monkeypatch.setattr(packed, "CELLS", 10_000)
    out = io.BytesIO()
    pq.write_table(pa.table({"x": np.zeros(2_000_000)}), out)
    with pytest.raises(InvalidInput, match="values from a file of"):
        table_of(Path("data.parquet"), out.getvalue())
    require_few_cells(10_000, b"")


def test_a_table_that_does_not_fit_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under `ulimit -v`."""

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("nestbench.sim.tables.reading._text", full)
    with pytest.raises(InvalidInput, match="fits into memory, got data"):
        table_of(Path("data.csv"), b"school,grade\n1,2\n")
