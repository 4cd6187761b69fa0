"""Diagnostics of a design, against dense matrices and known cases."""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.estimators.engines.diagnostics import diagnostics_of
from nestbench.estimators.methods.registry import get
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept

MODEL = Model(formula="grade ~ age + resources + treated")


def test_against_dense_matrices() -> None:
    layout = Layout(schools=9, students=(3, 8, 5, 12, 4, 6, 9, 7, 5), treated_schools=4)
    batch = Cell(RandomIntercept(icc=0.3), layout, MODEL).draw(3, range(3))
    got = diagnostics_of(batch, MODEL)
    for r in range(batch.size):
        frame, groups = batch.replication(r).frame(), batch.replication(r).groups
        x = np.column_stack([np.ones(len(frame)), frame["age"], frame["resources"], frame["treated"]])
        inverse = np.linalg.inv(x.T @ x)
        rho = got["(residual_icc)"][r]
        omega = np.where(groups[:, None] == groups, rho, 0.0)
        np.fill_diagonal(omega, 1.0)
        own = [groups == g for g in range(9)]
        parts = [inverse @ x[i].T @ omega[np.ix_(i, i)] @ x[i] @ inverse for i in own]
        for j, term in enumerate(("Intercept", "age", "resources", "treated")):
            gamma = np.array([part[j, j] for part in parts])
            effective = 9 / (1 + np.mean((gamma / gamma.mean() - 1) ** 2))
            assert got[f"(effective_clusters:{term})"][r] == pytest.approx(effective, rel=1e-8)
            design_effect = (inverse @ x.T @ omega @ x @ inverse)[j, j] / inverse[j, j]
            assert got[f"(design_effect:{term})"][r] == pytest.approx(design_effect, rel=1e-8)
        leverages = [np.trace(x[i] @ inverse @ x[i].T) for i in own]
        assert got["(max_leverage)"][r] == pytest.approx(max(leverages), rel=1e-8)


def test_equal_schools_count_in_full_and_one_treated_school_counts_as_one() -> None:
    model = Model(formula="grade ~ treated")
    balanced = diagnostics_of(Cell(RandomIntercept(), Layout(20, 10, 10), model).draw(1, range(2)), model)
    assert balanced["(effective_clusters:treated)"] == pytest.approx([20.0, 20.0])
    assert balanced["(max_leverage)"] == pytest.approx([0.1, 0.1])
    single = diagnostics_of(Cell(RandomIntercept(), Layout(20, 10, 1), model).draw(1, range(2)), model)
    assert (single["(effective_clusters:treated)"] < 1.2).all()
    assert single["(max_leverage)"] == pytest.approx([1.0, 1.0])


def test_design_effect_is_moultons() -> None:
    """School-level term, equal schools: 1 + (m - 1) rho."""
    model = Model(formula="grade ~ treated")
    got = diagnostics_of(Cell(RandomIntercept(icc=0.4), Layout(20, 10, 10), model).draw(1, range(3)), model)
    np.testing.assert_allclose(got["(design_effect:treated)"], 1 + 9 * got["(residual_icc)"], rtol=1e-10)


@pytest.mark.parametrize("engine", ["reference", "batched"])
def test_are_stored_when_asked_for(engine: str) -> None:
    batch = Cell(RandomIntercept(), Layout(12, 6, 5), MODEL).draw(1, range(2))
    plain = get("ols-cr1s-t").fit(batch, MODEL, engine)
    asked = get({"name": "ols-cr1s-t", "diagnostics": True})
    got = asked.fit(batch, MODEL, engine)
    assert asked.label == "ols-cr1s-t(diagnostics=True)"
    assert set(got.quantities) - set(plain.quantities) == set(diagnostics_of(batch, MODEL))
    assert got.std_error.tobytes() == plain.std_error.tobytes()
    with pytest.raises(InvalidInput, match="diagnostics to be true or false, got 'yes'"):
        get({"name": "ols-cr1s-t", "diagnostics": "yes"}).fit(batch, MODEL, engine)
