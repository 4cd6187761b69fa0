"""Tables and words for papers."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given

from nestbench.estimators.methods.registry import known
from nestbench.experiments.results import Extent
from nestbench.experiments.toml.reading import experiment_from
from nestbench.reports.exports.citations import bibtex, citation_keys, references
from nestbench.reports.exports.methods import methods_paragraph, methods_sentence, samples_sentence
from nestbench.reports.exports.tables import TextTable, latex_document, text_tables, to_latex, to_markdown
from nestbench.reports.exports.write import write_exports
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.wording import decimals, rounded
from nestbench.sim.errors import InvalidInput
from tests.reports.synthetic import FakeResults, school_study
from tests.reports.words.test_missing import STUDY, extents


@pytest.fixture(scope="module")
def study() -> FakeResults:
    return school_study(reps=100, schools=(6, 30), icc=(0.2,))


@pytest.fixture(scope="module")
def table(study: FakeResults) -> pd.DataFrame:
    return performance_table(study)


@pytest.mark.parametrize(
    ("value", "mcse", "text"),
    [
        (0.94812, 0.0071, "0.948 (0.007)"),
        (94.812, 0.71, "94.8 (0.7)"),
        (123.4, 12.0, "123 (12)"),
        (-0.00002, 0.0005, "0.0000 (0.0005)"),
        (-0.0, 0.0, "0 (0)"),
        (-0.2, 0.1, "-0.2 (0.1)"),
        (1.0, 0.0, "1 (0)"),
        (0.5, float("nan"), "0.5"),
        (float("nan"), 0.1, ""),
        (float("inf"), float("nan"), "inf"),
    ],
)
def test_digits_follow_the_error(value: float, mcse: float, text: str) -> None:
    assert rounded(value, mcse) == text


def test_decimals_end_at_the_first_significant_digit_of_the_error() -> None:
    assert [decimals(x) for x in (20.0, 1.0, 0.5, 0.05, 0.0123)] == [0, 0, 1, 2, 2]


def test_markdown_has_every_number_of_the_table(study: FakeResults, table: pd.DataFrame) -> None:
    text = to_markdown(text_tables(table, study.experiment, ("coverage",)))
    rows = table[
        (table["measure"] == "coverage") & table["term"].isin(["age", "gender[T.male]", "resources"])
    ]
    for value, mcse in zip(rows["value"], rows["mcse"], strict=True):
        assert rounded(100 * value, 100 * mcse) in text
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) <= 1


def test_latex_escapes_and_balances(study: FakeResults, table: pd.DataFrame) -> None:
    levels = tuple({"a_b & c%": "50 % {x} \\ ~^#$"} for _ in study.experiment.levels)
    hostile = replace(study.experiment, levels=levels)
    text = to_latex(text_tables(table, hostile))
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") > 5
    bare = re.sub(r"\\[\\&%$#_{}]", "", text)
    assert bare.count("{") == bare.count("}")
    for body in re.findall(r"\\midrule\n(.*?)\\bottomrule", text, re.S):
        for line in body.strip().splitlines():
            assert not re.search(r"(?<!\\)[%#$]", line.replace("$-$", "-"))
    spec = re.findall(r"\\begin\{tabular\}\{(l r*|lr*)\}\n\\toprule\n(.*?) \\\\", text)
    assert all(len(columns) == len(re.findall(r"(?<!\\)&", heads)) + 1 for columns, heads in spec)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex on the path")
@pytest.mark.parametrize("methods", [3, 14])
def test_latex_compiles_and_fits_the_page(methods: int, tmp_path: Path) -> None:
    """Awkward names, and more methods than fit beside each other: no error, nothing runs over the margin."""
    heads = ("Condition", *(f"method-{i}_with & 5%" for i in range(methods)))
    rows = tuple((f"{g} schools, a_b ~^#$ <x|y> {{z}} \\", *(["0.948 (0.007)"] * methods)) for g in (6, 10))
    file = tmp_path / "tables.tex"
    file.write_text(
        latex_document(to_latex([TextTable("Coverage, % for a_b: mean (l <= th <= u)", heads, rows)]))
    )
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", file.name],
        cwd=tmp_path,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert b"Overfull" not in done.stdout


def test_latex_keeps_every_method_where_tables_are_split() -> None:
    heads = ("Condition", *(f"method-{i}" for i in range(20)))
    text = to_latex([TextTable("Coverage", heads, (("all", *map(str, range(100, 120))),))])
    assert text.count(r"\begin{tabular}") > 1
    assert text.count(r"\begin{table}") == 1
    for i in range(20):
        assert text.count(f"method-{i} ") == 1
        assert text.count(str(100 + i)) == 1


def test_methods_paragraph_says_what_was_run(study: FakeResults, table: pd.DataFrame) -> None:
    study.provenance = {"packages": {"nestbench": "9.9", "numpy": "2.0"}}
    text = methods_paragraph(study, table)
    for words in (
        "100 data sets a condition; the seed was 20261122",
        "varying number of schools (6 and 30)",
        "6 or 30 schools of 20 students",
        "The intraclass correlation was 0.2",
        "age (true value 2)",
        "The 6 methods were compared on the same data sets",
        "nestbench 9.9",
    ):
        assert words in text
    failed = round(sum((found["mixedlm"].status > 1).sum() for found in study.cells))
    assert f"Of 1,200 fits {failed} gave no usable answer (mixedlm {failed} of 200)" in text
    assert "95 % intervals and the rejection rate of two-sided tests at the 5 % level" in text


@given(extents())
def test_equal_data_are_claimed_only_where_they_are(extent: Extent) -> None:
    text = methods_sentence(STUDY.experiment, extent)
    counts = {label: [cell[label] for cell in extent.fitted] for label in extent.fitted[0]}
    alike = len({tuple(n) for n in counts.values()}) == 1
    assert ("compared on the same data sets" in text) == alike
    for label, found in counts.items():
        assert label in text
        assert alike or re.search(rf"{min(found):,}( to {max(found):,})?", text)


LAYOUTS = {
    "fixed": (
        {"schools": 8, "students": 15, "treated_schools": 2},
        "8 schools of 15 students, 2 of 8 schools (25 %)",
    ),
    "list": ({"schools": 3, "students": [5, 5, 60]}, "3 schools of 5 to 60 (mean 23.3) students."),
    "spread": ({"schools": 4, "students": 10, "size_spread": 0.5}, "4 schools of 5 to 15 (drawn) students."),
    "share": ({"schools": 8, "students": 4, "treated_share": 0.25}, "2 of 8 schools (25 %) treated."),
    "within": (
        {"schools": 8, "students": 4, "treated_share": 0.5, "assignment": "students"},
        "50 % of the students of every school treated.",
    ),
}


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_samples_are_described(name: str) -> None:
    layout, words = LAYOUTS[name]
    tables = {
        "experiment": {"name": "x", "estimators": ["ols"], "replications": 5},
        "population": {"effects": {"Intercept": 1.0, "age": 1.0}},
        "layout": layout,
        "model": {"formula": "grade ~ age"},
    }
    assert words in samples_sentence(experiment_from(tables).cells)


def test_papers_get_no_raw_keys_signs_or_undefined_symbols(study: FakeResults, tmp_path: Path) -> None:
    """What a statistician would strike out: entities, negative zeros, keys, n that isn't told."""
    levels = tuple({"layout.shuffle_sizes": bool(i), "population.slope_sd": 0.5} for i in range(2))
    odd = FakeResults(replace(study.experiment, levels=levels), study.cells)
    write_exports(odd, tmp_path, ["md", "latex"], "run")
    text, latex = (tmp_path / "report.md").read_text(), (tmp_path / "tables.tex").read_text()
    for found in (text, latex):
        assert not re.search(r"&lt;|-0\.0* |shuffle_sizes|shuffle\\_sizes|True|False|<=", found)
        assert not re.search(r"(^|& |\| )--\d", found)
        assert "shuffle sizes yes" in found
    assert re.search(r"& \$-\$\d", latex)
    assert "mean (l ≤ θ ≤ u)" in text
    assert r"mean (l $\leq$ $\theta$ $\leq$ u)" in latex
    for symbol in ("t, s, [l, u] and p are", "θ is the true value", "d = t - θ", "S = sd t"):
        assert symbol in text
    rows = [line for line in text.splitlines() if line.startswith("| n |")]
    assert len(rows) == text.count("**") // 2
    ok = [int((found["mixedlm"].status <= 1).sum()) for found in study.cells]
    counts = f"{min(ok)} to {max(ok)}" if min(ok) < max(ok) else f"{ok[0]}"
    assert all(row.endswith(f"| 100 | {counts} of 100 |") for row in rows)


def test_bounds_stand_beside_the_coverage_of_methods_that_fail(
    study: FakeResults, table: pd.DataFrame
) -> None:
    (age, *_) = text_tables(table, study.experiment, ("coverage",))
    bounds = table[(table["measure"] == "coverage_bound") & (table["term"] == "age")]
    assert set(bounds["estimator"]) == {"mixedlm"}
    marked = 0
    for cell, value in zip(bounds["cell"], bounds["value"], strict=True):
        entry = age.rows[cell][age.heads.index("mixedlm")]
        if (study.cells[cell]["mixedlm"].status <= 1).mean() < 0.95:
            assert abs(float(re.findall(r"([\d.]+)\]", entry)[0]) - 100 * value) <= 0.5
            marked += 1
        else:
            assert "[" not in entry
    assert marked
    assert not any("[" in entry for row in age.rows for entry in row[1:-1])


def test_every_source_of_a_built_in_method_is_in_the_bibliography() -> None:
    keys = set(references())
    for estimator in known().values():
        for key in citation_keys(estimator.info.source):
            assert key in keys, (estimator.name, key)


def test_bibtex_names_only_what_was_used(study: FakeResults) -> None:
    text = bibtex(study.experiment)
    assert "@article{liang1986," in text
    assert "@article{morris2019," in text
    assert "kenward1997" not in text
    for entry in text.strip().split("\n\n"):
        assert entry.count("{") == entry.count("}")
        assert re.search(r"year = \{\d{4}\}", entry)


def test_files_of_each_format(study: FakeResults, tmp_path: Path) -> None:
    written = write_exports(study, tmp_path, ["md", "latex", "csv", "parquet"], "run").files
    assert [p.name for p in written] == [
        "report.md",
        "tables.tex",
        "references.bib",
        "performance.csv",
        "performance.parquet",
    ]
    text = (tmp_path / "report.md").read_text()
    assert text.startswith("# Which method survives few schools?")
    assert "## Methods" in text
    with pytest.raises(InvalidInput, match="unknown format 'pfd'"):
        write_exports(study, tmp_path, ["pfd"], "run")


def test_every_figure_as_a_file(study: FakeResults, tmp_path: Path) -> None:
    few = FakeResults(
        replace(study.experiment, cells=study.experiment.cells[:1], levels=study.experiment.levels[:1]),
        study.cells[:1],
    )
    drawn = [p.name for p in write_exports(few, tmp_path, ["svg"], "run").files]
    assert "coverage-resources.svg" in drawn
    assert "failures.svg" in drawn
    assert "runtime.svg" in drawn
    text = (tmp_path / "figures" / "coverage-resources.svg").read_text()
    assert text.startswith("<svg")
    assert "ols-cr2-satt" in text
