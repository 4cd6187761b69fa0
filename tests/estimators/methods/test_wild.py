"""The wild cluster bootstrap: enumerated reference counts, its definition, its draws, its limits."""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.estimators.engines import ols_batched
from nestbench.estimators.equivalence.agreement import compare
from nestbench.estimators.kernels import wild as kernels
from nestbench.estimators.methods import wild
from nestbench.estimators.methods.registry import get
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.streams import StreamSource
from tests.golden.reference import Golden, models_with, named


def drawn(schools: int, replications: int = 3, seed: int = 2, **law: float) -> Batch:
    sizes = tuple(3 + 2 * (g % 4) for g in range(schools))
    layout = Layout(schools, sizes, treated_schools=schools // 2)
    return Cell(RandomIntercept(**law), layout, Model()).draw(seed, range(replications))


def counts(fit: ols_batched.BatchOls, batch: Batch, j: int, restricted: bool) -> tuple[float, float]:
    """How many of all sign vectors are more extreme, and how many are tied."""
    codes, exact = wild.codes_of(batch.streams, 0, int(fit.schools[0]), 10**5, "rademacher")
    assert exact
    p = len(fit.moments.x)
    numbers, sizes = np.empty((p, 5, codes.shape[1])), np.empty((p, 2))
    weights = wild.WEIGHTS["rademacher"]
    kernels.draw_statistics(
        fit.cross,
        fit.moments.x,
        fit.moments.contrasts[0],
        fit.lower[0],
        fit.scores,
        codes,
        weights,
        np.arange(p),
        numbers,
        sizes,
    )
    kappa = fit.estimate[0, j] / sizes[j, 0]
    imposed = kappa if restricted else 0.0
    above = kernels.count(numbers[j], kappa, imposed, sizes[j, 0], sizes[j, 1], kernels.TIE)
    with_ties = kernels.count(numbers[j], kappa, imposed, sizes[j, 0], sizes[j, 1], -kernels.TIE)
    return above, with_ties - above


@pytest.mark.parametrize("case", models_with("wcb"), ids=str)
@pytest.mark.parametrize("kind", ["WCR", "WCU"])
def test_enumerated_counts_are_the_stored_ones(case: Golden, kind: str) -> None:
    batch, model = case.batch(), case.spec()
    fits = {("wcb",): ols_batched.pooled(batch, model), ("fe", "wcb"): ols_batched.within(batch, model)}
    for path, fit in fits.items():
        for term, stored in case.at(*path).items() if case.has(*path) else ():
            j = design_of(batch, model).terms.index(named(term))
            got = counts(fit, batch, j, kind == "WCR")
            assert got == (stored[kind]["n_abs_greater"], stored[kind]["n_abs_tied"]), (path, term)


@pytest.mark.parametrize("case", models_with("wcb"), ids=str)
@pytest.mark.parametrize(("name", "kind"), [("ols-wild", "WCR"), ("ols-wild-u", "WCU")])
def test_enumerated_p_values(case: Golden, name: str, kind: str) -> None:
    got = get({"name": name, "draws": 5000}).fit(case.batch(), case.spec())
    for term, stored in case.at("wcb").items():
        j = got.terms.index(named(term))
        least = 0.5 ** len(case.batch().replication(0).school_sizes)
        assert got.p_value[0, j] == max(stored[kind]["p_symmetric_with_ties"], least)
        assert got.std_error[0, j] == pytest.approx(stored["se_CR1"], rel=1e-9)


@pytest.mark.parametrize("name", ["ols-wild", "ols-wild-u"])
@pytest.mark.parametrize("schools", [5, 14])
@pytest.mark.parametrize("weights", ["rademacher", "webb"])
def test_the_batched_engine_is_the_definition(name: str, schools: int, weights: str) -> None:
    estimator = get({"name": name, "draws": 149, "weights": weights})
    model = Model("grade ~ age + gender + treated", level=0.9)
    record = compare(estimator, drawn(schools), model)
    assert record["agreement"] == "random"
    assert record["disagreements"] == 0, record


def test_an_interval_holds_the_nulls_that_are_not_rejected() -> None:
    batch, model = drawn(12, replications=4), Model("grade ~ age + treated", level=0.9)
    got = get("ols-wild").fit(batch, model)
    inside = (got.lower < 0) & (got.upper > 0)
    assert (inside == (got.p_value > model.alpha)).all()
    assert (got.lower < got.estimate).all()
    assert (got.estimate < got.upper).all()
    assert np.isnan(got.df).all()


def test_few_schools_cannot_reject() -> None:
    """With five schools the smallest p-value of sign flips is 2/32: at 5 % no null is ever rejected."""
    got = get("ols-wild").fit(drawn(5), Model("grade ~ age"))
    assert (got.p_value >= 2 / 32).all()
    assert np.isinf(got.lower).all()
    assert np.isinf(got.upper).all()


def test_sign_flips_are_exact_for_symmetric_school_means() -> None:
    """One student a school, intercept only, no effect: size floor(.05 K)/K, K = 2^(G-1) (8 schools: .046875)."""
    law = RandomIntercept(icc=0.0, effects={"Intercept": 0.0})
    replications = 4000
    batch = Cell(law, Layout(8, 1), Model()).draw(9, range(replications))
    rejected = (get("ols-wild").fit(batch, Model("grade ~ 1")).p_value[:, 0] <= 0.05).mean()
    exact = 0.046875
    z = (rejected - exact) / np.sqrt(exact * (1 - exact) / replications)
    assert abs(z) < 4.9  # false alarm 1e-6


def test_draws_belong_to_the_replication() -> None:
    batch, model = drawn(12), Model("grade ~ age + gender")
    whole = get("ols-wild").fit(batch, model)
    for r in range(batch.size):
        one = get("ols-wild").fit(batch.take([r]), model)
        assert one.p_value.tobytes() == whole.p_value[r : r + 1].tobytes()
        assert one.lower.tobytes() == whole.lower[r : r + 1].tobytes()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"draws": 0}, "expected draws"),
        ({"draws": "many"}, "expected draws"),
        ({"weights": "web"}, "Did you mean 'webb'"),
    ],
)
def test_wrong_options_say_what_is_allowed(option: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        get({"name": "ols-wild", **option}).fit(drawn(5), Model("grade ~ age"))


def test_more_schools_than_a_float_has_powers_of_two() -> None:
    codes, exact = wild.codes_of(StreamSource(1, "many"), 0, 1100, 9, "rademacher")
    assert codes.shape == (1100, 9)
    assert not exact


@pytest.mark.parametrize("name", ["ols-wild", "ols-wild-u"])
def test_one_term_alone_is_the_same(name: str) -> None:
    batch, method = drawn(9), get({"name": name, "draws": 99})
    every, one = method.fit(batch, Model()), method.for_term("age").fit(batch, Model())
    k = every.terms.index("age")
    for column in ("estimate", "std_error", "lower", "upper", "p_value"):
        np.testing.assert_array_equal(getattr(one, column)[:, k], getattr(every, column)[:, k])
    assert np.isnan(np.delete(one.lower, k, axis=1)).all()
    assert one.terms == every.terms
    assert method.for_term("age").label == method.label


def test_methods_that_cost_by_fit_are_the_same_for_one_term() -> None:
    method = get("ols")
    assert method.for_term("age") is method
