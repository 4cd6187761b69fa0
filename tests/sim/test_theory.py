"""Theory of the random-intercept law against closed forms and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nestbench.sim import theory
from nestbench.sim.batch import Category
from nestbench.sim.layout import Layout
from nestbench.sim.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.streams import StreamSource
from tests.oracles import sandwich_exact as dense


def naive_resources(
    law: RandomIntercept, layout: Layout, replications: range
) -> tuple[np.ndarray, np.ndarray]:
    """Whether the naive interval of `resources` covers, and its squared error over its variance estimate, [R]."""
    batch, n = law.draw(layout, StreamSource(11, "check"), replications), int(layout.sizes().sum())
    shape = (len(replications), n)
    columns = {
        k: (v.codes if isinstance(v, Category) else v).reshape(shape) for k, v in batch.columns.items()
    }
    x = np.stack([np.ones(shape), columns["age"], columns["gender"], columns["resources"]], axis=2)
    bread = np.linalg.inv(x.transpose(0, 2, 1) @ x)
    beta = (bread @ (x.transpose(0, 2, 1) @ columns["grade"][..., None]))[..., 0]
    residual = columns["grade"] - (x @ beta[..., None])[..., 0]
    variance = (residual**2).sum(axis=1) / (n - 4) * bread[:, 3, 3]
    error = beta[:, 3] - law.truth["resources"]
    return np.abs(error) <= stats.t.ppf(0.975, n - 4) * np.sqrt(variance), variance / (error**2).mean()


@pytest.mark.parametrize(("schools", "icc"), [(6, 0.05), (6, 0.2), (10, 0.2)])
def test_naive_coverage_agrees_with_simulation(schools: int, icc: float) -> None:
    """6 000 data sets: within 4.9 Monte Carlo standard errors (false alarm 1e-6)."""
    law, layout = RandomIntercept(icc=icc), Layout(schools=schools, students=20)
    known = law.theory(layout)["naive_coverage"]["resources"]
    parts = [naive_resources(law, layout, range(a, a + 1000))[0] for a in range(0, 6000, 1000)]
    covered = np.concatenate(parts)
    assert covered.mean() == pytest.approx(known, abs=4.9 * np.sqrt(known * (1 - known) / len(covered)))


@pytest.mark.slow
@pytest.mark.parametrize("schools", [6, 10, 30])
@pytest.mark.parametrize("icc", [0.0, 0.05, 0.2])
def test_naive_coverage_and_ratio_with_many_data_sets(schools: int, icc: float) -> None:
    """40 000 data sets of every cell of `school-effects`; the ratio's error by the delta method, 4.9 of them."""
    law, layout, size = RandomIntercept(icc=icc), Layout(schools=schools, students=20), 40_000
    known = law.theory(layout)
    parts = [naive_resources(law, layout, range(a, a + 1000)) for a in range(0, size, 1000)]
    covered, ratio = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    p = known["naive_coverage"]["resources"]
    assert covered.mean() == pytest.approx(p, abs=4.9 * np.sqrt(p * (1 - p) / size))
    spread = 0.5 * np.sqrt(ratio.var() / ratio.mean() ** 2 + 3.0) / np.sqrt(size)
    assert np.sqrt(ratio.mean()) == pytest.approx(known["naive_se_ratio"]["resources"], rel=4.9 * spread)


@pytest.mark.parametrize(("schools", "icc"), [(6, 0.05), (10, 0.2)])
def test_close_to_the_balanced_closed_form(schools: int, icc: float) -> None:
    """Without student-level columns the naive test is oracle D1 exactly; with them, nearly."""
    law, layout = RandomIntercept(icc=icc), Layout(schools=schools, students=20)
    exact = law.theory(layout, Model(formula="grade ~ resources"))["naive_coverage"]["resources"]
    assert exact == pytest.approx(1 - dense.naive_balanced(schools, 20, icc), abs=1e-4)
    more = law.theory(layout)["naive_coverage"]["resources"]
    assert more == pytest.approx(1 - dense.naive_balanced(schools, 20, icc, columns=4), abs=0.004)


def test_without_clustering_ols_is_exact() -> None:
    known = RandomIntercept(icc=0.0).theory(Layout(schools=6, students=20))
    assert known["design_effect"] == 1.0
    assert known["coverage"]["ols"] == pytest.approx(dict.fromkeys(known["coverage"]["ols"], 0.95), abs=1e-9)
    assert known["se_ratio"]["ols"] == pytest.approx(dict.fromkeys(known["se_ratio"]["ols"], 1.0), rel=1e-9)


def test_equal_arms_hold_for_every_sandwich() -> None:
    """Balanced treatment, 6 schools: sizes of the published table of closed forms (CR0 z, CR1S t, CR2, CR3 t)."""
    known = RandomIntercept(icc=0.2).theory(
        Layout(schools=6, students=30, treated_schools=3), Model(formula="grade ~ treated")
    )
    got = {name: 1 - known["coverage"][name]["treated"] for name in known["coverage"]}
    assert got["ols-cr0-z"] == pytest.approx(0.184783, abs=1e-6)
    assert got["ols-cr2-satt"] == pytest.approx(0.05, abs=1e-8)
    assert got["ols-cr3-t"] == pytest.approx(0.034570, abs=1e-6)
    assert got["ols-cr1s-t"] == pytest.approx(0.083012, abs=1e-3)


def test_another_set_of_draws_of_x_changes_little(monkeypatch: pytest.MonkeyPatch) -> None:
    law, layout = RandomIntercept(icc=0.2), Layout(schools=10, students=20)
    first = law.theory(layout)["naive_coverage"]
    monkeypatch.setattr(theory, "X_SEED", 5)
    assert law.theory(layout)["naive_coverage"] == pytest.approx(first, abs=0.001)


@pytest.mark.parametrize(
    ("sizes", "icc", "effect"),
    [((20,) * 5, 0.2, 4.8), ((10, 30), 0.5, 1 + (5 + 20 - 1) * 0.5), ((1,) * 9, 0.3, 1.0)],
)
def test_design_effect(sizes: tuple[int, ...], icc: float, effect: float) -> None:
    assert theory.design_effect(sizes, icc) == pytest.approx(effect)


def test_a_deficient_design_leaves_tests_unknown() -> None:
    """Nobody is treated: the design has a column of zeros and no test is known; the design effect still is."""
    known = RandomIntercept().theory(Layout(), Model(formula="grade ~ age + treated"))
    assert set(known) == {"design_effect"}
