"""The pairs bootstrap, against schools really drawn and stacked."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from nestbench.estimators.estimates import FitStatus
from nestbench.estimators.methods import pairs_bootstrap, permutation
from nestbench.estimators.methods.pairs_bootstrap import LEFT_OUT, PAIRS_BOOTSTRAP, times_drawn
from nestbench.estimators.methods.registry import get
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept

MODEL = Model(formula="grade ~ age + treated", level=0.9)
SHORT = PAIRS_BOOTSTRAP.with_options({"draws": 99})
engines = pytest.mark.parametrize("engine", ["reference", "batched"])


@engines
def test_is_ols_on_stacked_copies_of_the_schools_drawn(engine: str) -> None:
    layout = Layout(schools=9, students=(3, 8, 5, 12, 4, 6, 9, 7, 5), treated_schools=4)
    batch = Cell(RandomIntercept(), layout, MODEL).draw(3, range(2))
    got = SHORT.fit(batch, MODEL, engine)
    for r in range(2):
        frame = batch.replication(r).frame()
        names = batch.replication(r).labels
        drawn = []
        for counts in np.concatenate(list(times_drawn(batch.replication(r), 9, 99))):
            parts = [
                frame[frame["school"] == n] for n, k in zip(names, counts, strict=True) for _ in range(int(k))
            ]
            rows = np.concatenate(
                [np.column_stack([np.ones(len(f)), f["age"], f["treated"], f["grade"]]) for f in parts]
            )
            if np.linalg.matrix_rank(rows[:, :3]) == 3:
                drawn.append(np.linalg.lstsq(rows[:, :3], rows[:, 3])[0])
        kept = np.array(drawn)
        np.testing.assert_allclose(got.std_error[r], kept.std(axis=0, ddof=1), rtol=1e-9)
        np.testing.assert_allclose(got.lower[r], np.quantile(kept, 0.05, axis=0), rtol=1e-9)
        np.testing.assert_allclose(got.upper[r], np.quantile(kept, 0.95, axis=0), rtol=1e-9)
        tails = np.minimum((kept <= 0).sum(axis=0), (kept >= 0).sum(axis=0))
        np.testing.assert_allclose(got.p_value[r], np.minimum(2 * (tails + 1) / (len(kept) + 1), 1))


def test_draws_at_zero_have_no_sign() -> None:
    """An outcome that two schools fit exactly by their mean: in many draws the slope of age is 0 but for rounding."""
    layout = Layout(schools=4, students=(4, 6, 5, 7), treated_schools=2)
    batch = Cell(RandomIntercept(), layout, MODEL).draw(3, range(4))
    level = np.repeat(np.sin(np.arange(16.0)), np.diff(batch.school_offsets))
    constant = replace(batch, columns={**batch.columns, "grade": level}, _memo={})
    got, expected = (SHORT.fit(constant, MODEL, engine) for engine in ("batched", "reference"))
    assert (got.status == FitStatus.OK).any()
    np.testing.assert_array_equal(got.p_value, expected.p_value)


def test_with_many_schools_it_nears_the_cluster_sandwich() -> None:
    """80 balanced schools: the bootstrap SD is CR0 up to its own error, 999 draws (2.2 %) and terms of order 1/G."""
    batch = Cell(RandomIntercept(), Layout(schools=80, students=8, treated_schools=40), MODEL).draw(
        5, range(4)
    )
    ratio = PAIRS_BOOTSTRAP.fit(batch, MODEL).std_error / get("ols-cr0-z").fit(batch, MODEL).std_error
    assert ratio == pytest.approx(np.ones(ratio.shape), abs=0.15)


@engines
def test_few_treated_schools_are_missing_from_some_draws(engine: str) -> None:
    layout = Layout(schools=9, students=5, treated_schools=2)
    got = SHORT.fit(Cell(RandomIntercept(), layout, MODEL).draw(1, range(2)), MODEL, engine)
    assert (got.status == FitStatus.OK).all()
    assert set(got.texts()) == {LEFT_OUT}
    assert np.isfinite(got.std_error).all()


@engines
def test_two_schools_are_too_few(engine: str) -> None:
    layout = Layout(schools=2, students=9, treated_schools=1)
    got = SHORT.fit(Cell(RandomIntercept(), layout, MODEL).draw(1, range(3)), MODEL, engine)
    assert (got.status == FitStatus.FAILED).all()
    reasons = ("half of the draws", "the same estimate in every draw")
    assert all(any(reason in text for reason in reasons) for text in got.texts())


@pytest.mark.parametrize("method", ["pairs-bootstrap", "permutation"])
def test_draws_in_blocks_are_the_draws_and_take_a_blocks_memory(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """150 000 schools by 999 draws are a gigabyte a copy."""
    layout = Layout(schools=3000, students=2, treated_schools=1500)
    batch = Cell(RandomIntercept(), layout, MODEL).draw(3, range(1))
    estimator = get({"name": method, "draws": 399})
    whole = estimator.fit(batch, MODEL)
    for module in (pairs_bootstrap, permutation):
        monkeypatch.setattr(module, "AT_ONCE", 60_000)
    tracemalloc.start()
    again = estimator.fit(batch, MODEL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(again.std_error, whole.std_error, rtol=1e-12)
    np.testing.assert_array_equal(again.p_value, whole.p_value)
    assert peak < 399 * 3000 * 8 / 2, peak
