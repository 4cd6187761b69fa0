"""Published numbers beside ours: matching, errors of both sides, what is printed."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.toml.reading import experiment_from
from nestbench.reports.comparing.published import (
    compare_published,
    print_published,
    published_section,
    published_sentence,
    write_published,
)

COVERAGE: dict[str, Any] = {
    "source": "A paper",
    "term": "age",
    "measure": "coverage",
    "replications": 2500,
    "factors": ["layout.schools"],
    "estimators": ["ols", "ols-cr1s-t"],
    "rows": [[6, 0.90, 0.95], [10, 0.5, "-"]],
}
EXACT = {
    **{k: v for k, v in COVERAGE.items() if k not in ("replications", "measure", "estimators")},
    "measures": ["bias"],
    "exact": True,
    "rows": [[6, "ols", 0.1]],
}


def experiment(*published: dict[str, Any]) -> Experiment:
    return experiment_from(
        {
            "experiment": {"name": "x", "estimators": ["ols", "ols-cr1s-t"]},
            "factors": {"layout.schools": [6, 10]},
            "published": list(published),
        }
    )


def table(*rows: tuple[int, str, str, float, float, int]) -> pd.DataFrame:
    """Rows: schools, estimator, measure, value, mcse, n."""
    frame = pd.DataFrame(rows, columns=["layout.schools", "estimator", "measure", "value", "mcse", "n"])
    return frame.assign(term="age", cell=(frame["layout.schools"] == 10).astype(int), n_attempted=frame["n"])


OURS = table(
    (6, "ols", "coverage", 0.92, np.sqrt(0.92 * 0.08 / 10_000), 10_000),
    (10, "ols", "coverage", 0.5, 0.005, 10_000),
    (6, "ols-cr1s-t", "coverage", 1.0, 0.0, 10_000),
    (6, "ols", "bias", 0.13, 0.01, 400),
)


def test_errors_of_both_sides() -> None:
    """Ours 10 000, theirs 2 500: their error is at least sqrt(r (1 - r) / R), here .006; both together .0066."""
    compared = compare_published(OURS, experiment(COVERAGE))
    first = compared.iloc[0]
    assert first["published_mcse"] == pytest.approx(np.sqrt(0.9 * 0.1 / 2500), rel=0.01)
    assert first["errors"] == pytest.approx(0.02 / np.hypot(0.003, 0.006), rel=0.02)
    assert compared["layout.schools"].tolist() == [6, 6, 10]


def test_a_rate_of_one_keeps_an_error() -> None:
    """.95 of 2 500 against 10 000 of 10 000: 0 on our side doesn't make the difference infinite."""
    row = compare_published(OURS, experiment(COVERAGE)).iloc[1]
    assert row["mcse"] == pytest.approx(1.92 / 10_000 / 1.96, rel=1e-3)  # Wilson: z / (n + z^2) / 2
    assert row["errors"] == pytest.approx(0.05 / np.sqrt(0.05 * 0.95 * (1 / 2500 + 1 / 10_000)), rel=0.02)


def test_exact_values_have_no_error_of_their_own() -> None:
    row = compare_published(OURS, experiment(EXACT)).iloc[0]
    assert (row["replications"], row["published_mcse"]) == ("exact", 0.0)
    assert row["errors"] == pytest.approx(3.0)


def test_numbers_without_a_counterpart_are_left_out() -> None:
    compared = compare_published(OURS[OURS["estimator"] == "ols"], experiment(COVERAGE, EXACT))
    assert len(compared) == 3
    assert len(compare_published(OURS, experiment())) == 0


def test_rows_beyond_the_limit_are_counted_and_the_furthest_named() -> None:
    made = experiment(COVERAGE, EXACT)
    sentence = published_sentence(compare_published(OURS, made), made)
    assert sentence.startswith("3 of 4 published numbers lie within 5 Monte Carlo errors")
    assert "`ols-cr1s-t` (coverage of `age` with 6 schools): published 0.95, ours 1.0000, +10" in sentence


def test_the_comparison_is_printed_and_written(tmp_path: Path) -> None:
    console = Console(width=100, record=True, file=(tmp_path / "out").open("w"))
    print_published(OURS, experiment(COVERAGE), console)
    text = console.export_text()
    console.file.close()
    assert "0.9000" in text
    assert "+3.0" in text
    path = write_published(OURS, experiment(COVERAGE), tmp_path)
    assert path is not None
    assert len(pd.read_csv(path)) == 3
    assert write_published(OURS, experiment(), tmp_path) is None


def test_the_page_has_the_comparison_escaped() -> None:
    section = published_section(OURS, experiment({**COVERAGE, "source": "A <paper>"}))
    assert section is not None
    assert section["heads"][0] == "schools"
    assert ["6", "ols", "age", "coverage", "0.9000", "2500", "0.9200", "0.0027", "+3.0"] in section["rows"]
    assert any(row[-1].endswith(" !") for row in section["rows"])
    assert "A <paper>." in section["words"]
    assert published_section(OURS, experiment()) is None


@pytest.mark.parametrize("width", [60, 80])
def test_published_numbers_are_whole_at_any_width(width: int) -> None:
    made = experiment_from(
        {
            "experiment": {"name": "x", "estimators": ["ols", "ols-cr1s-t"]},
            "factors": {"layout.schools": [6, 10], "layout.students": [20], "population.effects.age": [0.5]},
            "published": [
                {**COVERAGE, "factors": ["layout.schools", "layout.students"], "rows": [[6, 20, 0.9, 0.95]]}
            ],
        }
    )
    console = Console(width=width, record=True, file=io.StringIO())
    ours = OURS.assign(**{"layout.students": 20, "population.effects.age": 0.5})
    print_published(ours, made, console)
    lines = console.export_text().splitlines()
    assert lines[1].startswith("Published numbers beside ours: coverage of age")
    numbers = [line for line in lines if line.startswith("6 ")]
    assert [line.split()[0:3] for line in numbers] == [["6", "20", "0.5"]] * 2
    assert all(
        re.search(r"0\.9\d00 +[01]\.\d{4} \(0\.0\d{3}\) +[+-]\d+\.\d$", line.rstrip()) for line in numbers
    )
    if width == 80:
        assert lines[2].split()[:6] == ["schools", "students", "effect", "of", "age", "method"]
