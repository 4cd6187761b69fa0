"""Replications as a baseline keeps them: what is read back is what was measured, to the stated rounding."""

from __future__ import annotations

import base64
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from nestbench.estimators.estimates import FitStatus
from nestbench.reports.accuracy.baseline import measures_of
from nestbench.reports.accuracy.baseline_file import numbers_of
from nestbench.reports.accuracy.kept import Grid, Kept, from_text, kept_of, to_text
from tests.reports.accuracy.gate_studies import TERMS, gate_study, means_of


@pytest.mark.parametrize("law", ["normal", "t(2.5)", "lognormal(2)"])
def test_measures_come_back_from_what_is_kept(law: str) -> None:
    study = gate_study(500, draw=means_of(law), cells=1)
    cell = study.experiment.cells[0]
    estimates = study.cells[0]["plain"]
    status = estimates.status.copy()
    status[3] = FitStatus.FAILED
    estimates = replace(estimates, status=status)
    measured = measures_of(estimates, cell)
    for term, kept in kept_of(estimates, cell, 500).items():
        assert np.isnan(kept.values()["bias"][3])
        values = {name: v[np.isfinite(v)] for name, v in kept.values().items()}
        errors = values["bias"] * kept.grid.scale + kept.grid.centre
        spread = measured[term]["empirical_se"][0]
        assert errors.mean() == pytest.approx(measured[term]["bias"][0], abs=1e-3 * spread)
        assert errors.std(ddof=1) == pytest.approx(spread, rel=1e-3)
        model = np.sqrt(np.mean(np.exp(2 * values["model_se"]))) * kept.grid.std_error
        assert model == pytest.approx(measured[term]["model_se"][0], rel=1e-3)
        width = np.exp(values["interval_width"]).mean() * kept.grid.std_error
        assert width == pytest.approx(measured[term]["interval_width"][0], rel=1e-3)
        for name in ("coverage", "rejection"):
            assert values[name].mean() == pytest.approx(measured[term][name][0], abs=1e-12)


def test_another_run_is_kept_on_the_same_grid() -> None:
    first, second = (gate_study(80, seed, cells=1) for seed in (1, 2))
    cell = first.experiment.cells[0]
    before = kept_of(first.cells[0]["plain"], cell, 80)
    after = kept_of(second.cells[0]["plain"], cell, 50, {t: k.grid for t, k in before.items()})
    assert [len(after[t]) for t in TERMS] == [50] * 4
    assert all(after[t].grid == before[t].grid for t in TERMS)


@given(some.lists(some.integers(-32_768, 32_767), max_size=30))
def test_text_reads_back(numbers: list[int]) -> None:
    codes = np.array(numbers, dtype=np.int16)
    kept = Kept(
        Grid(0.0, 1.0, 1.0), dict.fromkeys(("error", "std_error", "width", "covers", "rejects"), codes)
    )
    back = from_text(to_text(kept), kept.grid, len(numbers))
    assert all(np.array_equal(back.codes[name], codes) for name in kept.codes)


def test_damaged_text_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="decompressing"):
        from_text("AAAA", Grid(0.0, 1.0, 1.0), 9)


@given(some.integers(0, 50), some.integers(0, 50))
def test_text_of_more_replications_or_cut_short_is_a_value_error(there: int, most: int) -> None:
    codes = np.arange(there, dtype=np.int16)
    grid = Grid(0.0, 1.0, 1.0)
    text = to_text(Kept(grid, dict.fromkeys(("error", "std_error", "width", "covers", "rejects"), codes)))
    if there > most:
        with pytest.raises(ValueError, match=f"more than the {most} replications"):
            from_text(text, grid, most)
    else:
        assert len(from_text(text, grid, most)) == there
        cut = base64.b64encode(base64.b64decode(text)[:-3]).decode()
        with pytest.raises(ValueError, match="ends too early"):
            from_text(cut, grid, most)


def test_a_text_that_would_become_far_more_is_not_unpacked() -> None:
    """30 MB in 30 kB: refused before there are a hundredth of them."""
    bomb = base64.b64encode(zlib.compress(bytes(30_000_000), 9)).decode()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than the 100 replications"):
            from_text(bomb, Grid(0.0, 1.0, 1.0), 100)
        assert tracemalloc.get_traced_memory()[1] < 300_000
    finally:
        tracemalloc.stop()


def test_hopeless_numbers_are_bounded() -> None:
    study = gate_study(20, cells=1)
    estimates = study.cells[0]["plain"]
    values = estimates.std_error.copy()
    values[:, 0] = 1e300
    upper = estimates.upper.copy()
    upper[:, 1] = np.inf
    kept = kept_of(replace(estimates, std_error=values, upper=upper), study.experiment.cells[0], 20)
    found = kept[TERMS[1]].values()
    assert np.all(np.isfinite(found["interval_width"]))
    assert np.all(found["interval_width"] > 10)


@pytest.mark.parametrize("text", ["0-9 5", "3 3", "7 0-2", "0-9999 0-9999"])
def test_replications_are_each_there_once(text: str) -> None:
    """Else a line of ranges would be as many numbers as it has room for."""
    with pytest.raises(ValueError, match="twice, or out of order"):
        numbers_of(text)
