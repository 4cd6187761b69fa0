"""Every kind of figure: it draws, holds the numbers it claims, and errors in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import vl_convert

from nestbench.reports.figures.curves import slope_of
from nestbench.reports.figures.kinds import KINDS, Wish, figure
from nestbench.reports.figures.theme import DARK, LIGHT, dressed, in_dark, write_chart
from nestbench.reports.measures.performance import performance_table
from nestbench.sim.errors import InvalidInput
from tests.reports.synthetic import FakeResults, school_study


@pytest.fixture(scope="module")
def study() -> FakeResults:
    return school_study(reps=60, schools=(6, 30), icc=(0.0, 0.2))


@pytest.fixture(scope="module")
def table(study: FakeResults) -> pd.DataFrame:
    return performance_table(study)


def values_in(spec: Any) -> list[dict[str, Any]]:
    """All inline records of a specification."""
    if isinstance(spec, dict):
        own = spec["values"] if isinstance(spec.get("values"), list) else []
        return [v for v in own if isinstance(v, dict)] + [r for x in spec.values() for r in values_in(x)]
    return [r for x in spec for r in values_in(x)] if isinstance(spec, list) else []


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_draws(kind: str, study: FakeResults, table: pd.DataFrame) -> None:
    text = vl_convert.vegalite_to_svg(dressed(figure(study, kind, Wish(cell=1), table)))
    assert text.startswith("<svg")
    assert "NaN" not in text
    assert "mixedlm" in text


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_follows_the_schema(kind: str, study: FakeResults, table: pd.DataFrame) -> None:
    """Nothing is validated where figures are written, so it is done here."""
    figure(study, kind, Wish(cell=1), table).to_dict(validate=True)


def test_coverage_records_are_those_of_the_table(study: FakeResults, table: pd.DataFrame) -> None:
    spec = dressed(figure(study, "coverage", Wish(term="resources"), table))
    drawn = {(r["cell"], r["estimator"]): r["value"] for r in values_in(spec) if "estimator" in r}
    rows = table[(table["measure"] == "coverage") & (table["term"] == "resources")]
    assert drawn == {
        (c, e): v for c, e, v in zip(rows["cell"], rows["estimator"], rows["value"], strict=True)
    }


def test_theory_is_laid_over_the_naive_method_only(study: FakeResults, table: pd.DataFrame) -> None:
    found = values_in(dressed(figure(study, "coverage", Wish(term="resources"), table)))
    with_theory = [r for r in found if "theory" in r]
    assert {r["estimator"] for r in with_theory} == {"ols"}
    cell = study.experiment.cells[1]
    expected = cell.population.theory(cell.layout)["naive_coverage"]["resources"]
    assert next(r["theory"] for r in with_theory if r["cell"] == 1) == pytest.approx(expected)


def test_zip_plot_sorts_by_distance_and_marks_misses(study: FakeResults) -> None:
    found = values_in(dressed(figure(study, "zip", Wish(term="resources", cell=1, methods=["ols"]))))
    rows = sorted((r for r in found if "centile" in r), key=lambda r: r["centile"])
    assert len(rows) == 60
    z = [abs(r["value"] - 0.5) / (r["high"] - r["low"]) for r in rows]
    assert z == sorted(z)
    assert all((r["covers"] == "covers") == (r["low"] <= 0.5 <= r["high"]) for r in rows)


def test_p_value_curve_ends_at_one(study: FakeResults) -> None:
    found = [
        r for r in values_in(dressed(figure(study, "p-values", Wish(term="resources")))) if "estimator" in r
    ]
    assert max(r["share"] for r in found) == 1.0


def test_slope_of_a_power_law() -> None:
    made = [{"x": n, "value": 3e-4 * n**1.5} for n in (100, 400, 2000)]
    assert slope_of(made) == pytest.approx(1.5)
    assert slope_of(made[:1]) is None


def test_frontier_marks_what_nothing_beats(study: FakeResults, table: pd.DataFrame) -> None:
    found = values_in(dressed(figure(study, "frontier", None, table)))
    front = {r["estimator"] for r in found if r.get("front") == "on the frontier"}
    fastest = min(found, key=lambda r: r["x"])["estimator"]
    closest = min(found, key=lambda r: (r["y"], r["x"]))["estimator"]
    assert {fastest, closest} <= front


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png", "json", "html"])
def test_files_by_extension(suffix: str, study: FakeResults, table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / f"figure.{suffix}"
    write_chart(figure(study, "bias", None, table), path)
    start = {"svg": b"<svg", "pdf": b"%PDF", "png": b"\x89PNG", "json": b"{", "html": b"<!DOCTYPE html>"}[
        suffix
    ]
    assert path.read_bytes().lstrip()[: len(start)].lower() == start.lower()
    if suffix == "json":
        assert json.loads(path.read_text())["$schema"].startswith("https://vega.github.io/schema/vega-lite")


def test_errors_say_what_is_there(study: FakeResults, table: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Did you mean 'coverage'"):
        figure(study, "coverag", None, table)
    with pytest.raises(InvalidInput, match=r"unknown term 'resource'.*Did you mean 'resources'"):
        figure(study, "zip", Wish(term="resource"))
    with pytest.raises(InvalidInput, match="unknown method 'olz'"):
        figure(study, "zip", Wish(methods=["olz"]))
    with pytest.raises(InvalidInput, match="condition from 0 to 3, got 9"):
        figure(study, "zip", Wish(cell=9))
    with pytest.raises(InvalidInput, match=r"ending in \.svg"):
        write_chart(figure(study, "bias", None, table), tmp_path / "figure.gif")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_marks_and_words_stand_out_from_the_paper(theme: dict[str, str]) -> None:
    paper = luminance(theme["paper"])

    def contrast(colour: str) -> float:
        high, low = sorted((luminance(colour), paper), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for role in ("ink", "soft", "plain"):
        assert contrast(theme[role]) >= 4.5, role
    for role in ("good", "doubt", "bad", "wide", "fair"):
        assert contrast(theme[role]) >= 2.4, role


def test_dark_swaps_every_colour_of_the_light_theme() -> None:
    assert len(set(LIGHT.values())) == len(LIGHT)
    assert in_dark(" ".join(LIGHT.values())) == " ".join(DARK.values())
