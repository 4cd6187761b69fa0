"""Every kind of figure: it draws, holds the numbers it claims, and errors in words."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nestbench.estimators.null import null_words
from nestbench.reports.conditions import condition_of
from nestbench.reports.figures.clipping import half_width
from nestbench.reports.figures.drawing import FromTable
from nestbench.reports.figures.frontier import FRONT, faster
from nestbench.reports.figures.kinds import (
    CELL,
    KINDS,
    MEASURE,
    METHODS,
    TERM,
    Wish,
    described,
    figure,
    record_of,
    used_by,
)
from nestbench.reports.figures.panels import REJECTION
from nestbench.reports.figures.theme import DARK, LIGHT, config, dressed, in_dark, write_chart
from nestbench.reports.figures.times import slope_of
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.page.gallery import FIGURES, caption_of
from nestbench.sim.errors import InvalidInput
from tests.reports.synthetic import FakeResults, school_study


@pytest.fixture(scope="module")
def study() -> FakeResults:
    return school_study(reps=60, schools=(6, 30), icc=(0.0, 0.2))


@pytest.fixture(scope="module")
def table(study: FakeResults) -> pd.DataFrame:
    return performance_table(study)


@pytest.fixture(scope="module")
def small() -> tuple[FakeResults, pd.DataFrame]:
    found = school_study(reps=20, schools=(6, 30), icc=(0.2,))
    return found, performance_table(found)


def values_in(spec: Any) -> list[dict[str, Any]]:
    """All inline records of a specification."""
    if isinstance(spec, dict):
        own = spec["values"] if isinstance(spec.get("values"), list) else []
        return [v for v in own if isinstance(v, dict)] + [r for x in spec.values() for r in values_in(x)]
    return [r for x in spec for r in values_in(x)] if isinstance(spec, list) else []


def at(kind: str, cell: int) -> Wish:
    """A condition, where one can be chosen."""
    return Wish(cell=cell if CELL in KINDS[kind].uses else None)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_draws(kind: str, study: FakeResults, table: pd.DataFrame) -> None:
    text = vl_convert.vegalite_to_svg(dressed(figure(study, kind, at(kind, 1), table)))
    assert text.startswith("<svg")
    assert "NaN" not in text
    assert "mixedlm" in text


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_follows_the_schema(kind: str, study: FakeResults, table: pd.DataFrame) -> None:
    """Nothing is validated where figures are written, so it is done here; records aren't shown to Altair there, and
    are written as it writes them."""
    chart = figure(study, kind, at(kind, 1), table)
    spec = chart.to_dict(validate=True)
    assert json.dumps(dressed(chart)) == json.dumps({**spec, "config": config()})


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


@st.composite
def methods_ends(draw: st.DrawFn) -> list[np.ndarray]:
    """Distances of interval ends: methods on one scale, a few ends thousands of times as far, or infinite."""
    base = draw(st.sampled_from([1e-3, 1.0, 500.0]))
    made = []
    for _ in range(draw(st.integers(1, 8))):
        far = base * np.random.default_rng(draw(st.integers(0, 999))).lognormal(0.0, 0.4, 100)
        far[: draw(st.integers(0, 8))] = draw(st.sampled_from([1e4 * base, np.inf]))
        made.append(far)
    return made


@given(methods_ends())
def test_a_rare_huge_interval_leaves_the_others_room(ends: list[np.ndarray]) -> None:
    half = half_width(ends)
    for far in ends:
        near = far[far < 100 * np.median(far)]
        assert (far <= half).mean() >= 0.9  # at most a tenth of a method's intervals are cut
        assert half <= 12 * np.median(near)  # and what is usual can be seen
    alone = half_width([far[far < 100 * np.median(far)] for far in ends])
    assert alone == pytest.approx(half, rel=0.6)


@pytest.mark.parametrize(
    ("ends", "half"),
    [
        ([np.full(20, np.inf)], 0.0),
        ([np.empty(0)], 0.0),
        ([], 0.0),
        ([np.full(20, np.inf), np.full(20, 2.0)], 2.0),
        ([np.array([1.0, 1.0, 1.1, np.inf, np.inf, np.inf])], 1.1),
        ([np.full(20, 1.0), np.full(20, 4.0)], 4.0),
    ],
)
def test_half_width_of_special_cases(ends: list[np.ndarray], half: float) -> None:
    assert half_width(ends) == half


def test_zip_plot_marks_and_counts_what_it_cuts(study: FakeResults) -> None:
    """Two intervals of thousands of widths: arrows at both edges, the header says how many, the rest is drawn whole."""
    found = dict(study.cells[1])
    low, high = found["ols"].lower.copy(), found["ols"].upper.copy()
    low[3], high[3], low[7] = -1e4, 1e4, -np.inf
    found["ols"] = replace(found["ols"], lower=low, upper=high)
    spoilt = FakeResults(study.experiment, [study.cells[0], found, *study.cells[2:]])
    spec = dressed(figure(spoilt, "zip", Wish(term="age", cell=1)))
    drawn = [r for r in values_in(spec) if r.get("estimator") == "ols"]
    cut = {r["replication"]: r for r in drawn if "cut_left" in r or "cut_right" in r}
    assert set(cut) == {3, 7}
    assert {"cut_left", "cut_right"} <= set(cut[3])
    assert "cut_right" not in cut[7]
    assert cut[7]["interval"].startswith("-inf to ")
    assert {r["panel"] for r in drawn} == {"ols\n60 fits, 2 cut"}
    others = [r for r in values_in(spec) if "left" in r and (r["estimator"], r["replication"]) != ("ols", 3)]
    assert max(r["right"] for r in others) - min(r["left"] for r in others) < 10 * np.median(
        [r["right"] - r["left"] for r in others]
    )
    assert any("reach beyond" in line for line in spec["title"]["subtitle"])
    assert "NaN" not in vl_convert.vegalite_to_svg(spec)


def test_p_value_curve_ends_at_one(study: FakeResults) -> None:
    found = [
        r for r in values_in(dressed(figure(study, "p-values", Wish(term="resources")))) if "estimator" in r
    ]
    assert max(r["share"] for r in found) == 1.0


@pytest.mark.parametrize(
    ("null", "said", "shares"),
    [(0.0, "is 0", "power"), (0.5, "is 0.5", "type I error")],
)
def test_the_value_tested_is_said(
    null: float, said: str, shares: str, study: FakeResults, table: pd.DataFrame, tmp_path: Path
) -> None:
    """In title, words below and what is read aloud, of p-values and of rejection rates."""
    cells = tuple(
        replace(c, model=replace(c.model, null={"resources": null})) for c in study.experiment.cells
    )
    tested = replace(study, experiment=replace(study.experiment, cells=cells))
    chart = figure(tested, "p-values", Wish("resources", 0))
    write_chart(chart, tmp_path / "p.svg")
    spec = dressed(chart)
    told = " ".join([*spec["title"]["text"], *spec["title"]["subtitle"]])
    assert f"p-values of tests that resources {said}" in told
    assert f"is the {shares} of tests of this size" in told
    aloud = ElementTree.parse(tmp_path / "p.svg").getroot().get("aria-label", "")
    assert f"p-values of tests that resources {said}." in aloud
    drawn = str(dressed(figure(tested, "rejection", Wish("resources"), table)))
    assert (f"Rejection rate (tests of {null:g})" in drawn) == bool(null)
    (caption,) = [caption for record, _, caption, _ in FIGURES if record is REJECTION]
    caption = caption_of("rejection", caption, tested.experiment, None)
    assert f"tests of {null_words([cells[0].model])} with p at most alpha" in caption


def test_slope_of_a_power_law() -> None:
    made = [{"x": n, "value": 3e-4 * n**1.5} for n in (100, 400, 2000)]
    assert slope_of(made) == pytest.approx(1.5)


def test_no_slope_is_read_into_scatter() -> None:
    """Too few conditions, sizes too near, or times that scatter more than students explain: no slope."""
    rng = np.random.default_rng(4)
    sizes = np.repeat([120, 200, 600], 3)
    power = [{"x": n, "value": 3e-4 * n * rng.lognormal(0.0, 0.1)} for n in sizes]
    assert slope_of(power) == pytest.approx(1.0, abs=0.25)
    warmed = [{"x": n, "value": 13.0 if i == 0 else 0.06} for i, n in enumerate(sizes)]
    assert slope_of(warmed) is None
    assert slope_of([{"x": 120, "value": 13.0}, {"x": 600, "value": 0.06}]) is None
    assert slope_of([{"x": n, "value": n} for n in (100, 120, 140)]) is None


def test_frontier_marks_what_nothing_beats(study: FakeResults, table: pd.DataFrame) -> None:
    found = values_in(dressed(figure(study, "frontier", None, table)))
    front = {r["estimator"] for r in found if r["front"] == FRONT}
    fastest = min(found, key=lambda r: r["x"])["estimator"]
    closest = min(found, key=lambda r: (r["value"], r["x"]))["estimator"]
    assert {fastest, closest} <= front
    assert "mixedlm" not in front  # 40 times slower than the rest in six conditions, and no closer


def test_methods_that_cost_the_same_seldom_beat_each_other() -> None:
    """Of 400 pairs whose log times scatter with SD .9, the first is shown to be faster in 2.5 % (1e-6)."""
    rng = np.random.default_rng(11)
    for conditions in (2, 6, 12):
        times = np.exp(rng.normal(0.0, 0.9 / np.sqrt(2), (400, 2, conditions)))
        shown = sum(faster(pd.Series(a), pd.Series(b)) for a, b in times)
        assert shown <= stats.binom.isf(1e-6, 400, 0.025)
    assert faster(pd.Series({0: 1e-5, 1: 2e-5}), pd.Series({1: 1e-3, 0: 1.1e-3}))
    assert not faster(pd.Series({0: 1e-5}), pd.Series({1: 1e-3}))


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


OPTIONS: dict[str, list[Any]] = {
    "term": ["age", "(icc)", "resurces", "*"],
    "cell": [1, 9, -1],
    "methods": [("mixedlm", "ols", "ols"), ("dummies-cr1s-z",), ("olz",)],
    "measure": ["rmse", "type_s", "cov", "se_ratio"],
}
USED = {"term": TERM, "cell": CELL, "methods": METHODS, "measure": MEASURE}


def honoured(name: str, value: Any, spec: dict[str, Any], study: FakeResults) -> None:
    """Assert that a figure shows what was chosen, by what is in it."""
    made = [r for r in values_in(spec) if "estimator" in r]
    assert made
    title = json.dumps(spec.get("title", ""))
    if name == "methods":
        shown = {r["estimator"].split(" (")[0] for r in made}
        against = title.rpartition("against those by ")[
            2
        ]  # the figure of methods names its first one in the title
        seen = shown | ({value[0]} if against.startswith(value[0]) else set())
        assert seen == set(value) or (seen < set(value) and "status" in made[0])
    if name == "cell":
        words = condition_of(study.experiment, value)
        assert words in title or {r["condition"] for r in made} == {words}
    if name == "term" and "term" in made[0]:
        assert {r["term"] for r in made} == {value}


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("name", list(OPTIONS))
def test_every_choice_is_honoured_or_refused(
    kind: str, name: str, small: tuple[FakeResults, pd.DataFrame]
) -> None:
    """Never an empty picture, never a choice passed over: for every kind, option and value."""
    study, table = small
    for value in OPTIONS[name]:
        try:
            spec = dressed(figure(study, kind, Wish(**{name: value}), table))
        except InvalidInput as error:
            words = str(error)
            if USED[name] not in KINDS[kind].uses:
                assert f"no choice of {USED[name]} for the figure '{kind}'" in words
            elif value in ("resurces", "olz", ("olz",), "cov"):
                assert re.search(r"unknown (term|method|measure).*(Did you mean|Known)", words)
            else:
                assert value not in ("age", 1, ("mixedlm", "ols", "ols"), "rmse"), words
                assert "expected" in words or "unknown" in words
            continue
        assert USED[name] in KINDS[kind].uses
        assert value not in ("resurces", "*", 9, -1, ("olz",), "cov", "se_ratio")
        honoured(name, value, spec, study)


@pytest.mark.parametrize("kind", list(KINDS))
def test_nothing_is_drawn_from_nothing(kind: str, study: FakeResults) -> None:
    empty = FakeResults(study.experiment, [{} for _ in study.cells])
    with pytest.raises(InvalidInput, match="expected"):
        figure(empty, kind)


def test_figures_of_replications_start_with_the_first_condition_that_was_run(study: FakeResults) -> None:
    late = FakeResults(study.experiment, [{}, {}, *study.cells[2:]])
    for kind in ("zip", "se-estimate", "methods", "p-values"):
        assert "Condition 2: 30 schools and ICC 0." in json.dumps(dressed(figure(late, kind))["title"])


def test_what_is_declared_is_what_can_be_drawn() -> None:
    records = {name: record_of(name) for name in KINDS}
    assert len(set(map(id, records.values()))) == len(KINDS)
    for name, record in records.items():
        if isinstance(record, FromTable):
            assert record.by_term == (TERM in KINDS[name].uses)
    assert all(name in described() for name in KINDS)
    assert used_by(MEASURE) == "lollipop, nested-loop and power"
    assert used_by(TERM) == "all kinds but failures, runtime and runtime-size"
    assert used_by(METHODS) == "every kind"


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
