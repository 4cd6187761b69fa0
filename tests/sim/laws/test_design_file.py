"""A fixed design's file is read as `estimate` reads one, and says as much of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestbench.own_data.user_data import prepare
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.laws.fixed_design import FixedDesign
from nestbench.sim.observed.model import Model
from nestbench.sim.tables.reading import read_table

COLUMNS = {
    "decimal commas": [f"{i},5" for i in range(24)],
    "thousands": [f"{i + 1},{i:03d},500" for i in range(24)],
    "currency": [f"€ {i}" for i in range(24)],
    "per cent": [f"{i} %" for i in range(24)],
    "a code": [*"12345678" * 2, *["999"] * 8],
    "a slip": ["12.5", "oops", *map(str, range(22))],
    "almost equal": ["Ann", "ann", *["Bob"] * 22],
    "may be missing": ["?", *"ab" * 11, "a"],
    "many labels": [f"n{i}" for i in range(24)],
    "letters of Windows": ["für", *"ab" * 11, "a"],
    "plain": [str(i * i % 7) for i in range(24)],
}


def written(path: Path, kind: str) -> Path:
    rows = ["g;z;y;w", *(f"s{i // 4};{i % 5};{i % 7}.5;{text}" for i, text in enumerate(COLUMNS[kind]))]
    if kind == "decimal commas":  # as a whole file has them
        rows = [row.replace(".5", ",5") for row in rows]
    path.write_bytes("\n".join(rows).encode("cp1252"))
    return path


@pytest.mark.parametrize("kind", COLUMNS)
def test_what_is_said_is_what_estimate_says(kind: str, tmp_path: Path) -> None:
    """Of the columns that law or model use, of each once, and of no others."""
    path = written(tmp_path / "d.csv", kind)
    table = read_table(path, labels=("g",))
    model = Model("y ~ z + w", group="g")
    expected = [words for words in prepare(table.frame, model, table.messages).messages if "'y'" not in words]
    for formula, analysed in (("z + w", "y ~ z + w"), ("z", "y ~ z + w"), ("z + w", "y ~ z"), ("1", "y ~ .")):
        cell = Cell(FixedDesign(str(path), formula, "g", outcome="y"), Layout(), Model(analysed, group="g"))
        assert sorted("; ".join(cell.data_messages).split("; ")) == sorted("; ".join(expected).split("; "))
    unused = Cell(FixedDesign(str(path), "z", "g", outcome="y"), Layout(), Model("y ~ z", group="g"))
    assert not any("'w'" in words for words in unused.data_messages)
    assert bool(expected) == (kind != "plain")


def test_a_column_named_twice_is_refused_where_a_model_alone_names_it(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("school,x,x,z\n" + "".join(f"{i // 3},{i},{-i},{i % 2}\n" for i in range(9)))
    law = FixedDesign(str(path), "z")
    Cell(law, Layout(), Model("grade ~ z"))
    with pytest.raises(InvalidInput, match="one column 'x', got several"):
        Cell(law, Layout(), Model("grade ~ x"))


@pytest.mark.parametrize(
    "labels", [("1", "01"), ("1000", "1 000"), ("900000000000000001", "900000000000000002")]
)
def test_groups_in_groups_that_numbers_would_merge_are_refused(
    labels: tuple[str, str], tmp_path: Path
) -> None:
    """The law reads its schools alone as labels: which columns are classes is for the model to say."""
    path = tmp_path / "d.csv"

    def write(*labels: str) -> None:
        path.write_text("school,class,x\n" + "".join(f"{i // 4},{labels[i % 2]},{i}\n" for i in range(12)))

    write(*labels)
    law = FixedDesign(str(path), "x")
    Cell(law, Layout(), Model("grade ~ x"))
    with pytest.raises(InvalidInput, match="differ as numbers too") as refused:
        Cell(law, Layout(), Model("grade ~ x", subgroup="class"))
    assert all(label in str(refused.value) for label in labels)
    write("7", "8")
    Cell(FixedDesign(str(path), "x"), Layout(), Model("grade ~ x", subgroup="class"))


@pytest.mark.parametrize("formula", ["np.log(x - 2)", "x / (x - 1)", "lag(x)"])
def test_terms_that_are_not_defined_in_all_rows_are_refused(formula: str, tmp_path: Path) -> None:
    """In the population's formula and in a model's: no fit could use them."""
    path = tmp_path / "d.csv"
    path.write_text("school,x\n" + "".join(f"{i // 3},{i}\n" for i in range(9)))
    formula = formula if formula.startswith("np") or "(x)" in formula else f"I({formula})"
    with pytest.raises(InvalidInput, match="expected a finite number for"):
        FixedDesign(str(path), formula)
    with pytest.raises(InvalidInput, match="expected a finite number for"):
        Cell(FixedDesign(str(path), "x"), Layout(), Model(f"grade ~ {formula}"))
    Cell(FixedDesign(str(path), "x"), Layout(), Model("np.log(grade) ~ x"))


@pytest.mark.parametrize(("formula", "random"), [("grade ~ x + grade", "1"), ("grade ~ x", "1 + grade")])
def test_the_outcome_is_no_term(formula: str, random: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'grade' stands on both sides"):
        Model(formula, random=random)
    path = tmp_path / "d.csv"
    path.write_text("school,x\n" + "".join(f"{i // 3},{i}\n" for i in range(9)))
    with pytest.raises(InvalidInput, match="'grade' stands on both sides"):
        FixedDesign(str(path), "x + grade")
