"""Reference distributions chosen apart from the variance: against stored values, closed forms, limits and a simulation.

The df of every quadratic form written out are the oracles' (`test_oracles.py`, `test_bad_input.py`); that both engines
agree and keep the contract is for the suites over `declared.READY`.
"""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nestbench.estimators.engines import ols_batched
from nestbench.estimators.engines.distributions import (
    CHOICES,
    SINGULAR,
    adjusted_by,
    normal,
    schools_less_terms,
    working,
)
from nestbench.estimators.estimates import STORED_COLUMNS, Estimates, FitStatus
from nestbench.estimators.methods.choices import choices_of
from nestbench.estimators.methods.registry import ESTIMATORS, get
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch, offsets_of
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.sim.streams import StreamSource
from tests.estimators.declared import referred
from tests.golden.reference import Golden, models_with
from tests.golden.test_r_values import VALUES, assert_column, fit

engines = pytest.mark.parametrize("engine", ["reference", "batched"])
KINDS = {
    "CR0": "ols-cr0-z",
    "CR1": "ols-cr1-t",
    "CR1S": "ols-cr1s-t",
    "CR2": "ols-cr2-satt",
    "CR3": "ols-cr3-t",
    "CRV3J": "ols-jackknife-t",
}


def chosen(kind: str, reference: str, case: tuple[Batch, Model], engine: str = "batched") -> Estimates:
    return get({"name": KINDS[kind], "reference": reference}).fit(*case, engine)


def assert_values(got: Estimates, field: str, expected: dict[str, float], rel: float) -> None:
    values = dict(zip(got.terms, getattr(got, field)[0], strict=True))
    for term, value in expected.items():
        assert values[term] == pytest.approx(value, rel=rel), (field, term)


def tolerance(case: Golden) -> float:
    return 1e-5 if str(case) == "collinear15-m2" else 1e-8


def written_out(q: np.ndarray, power: float) -> np.ndarray:
    """(I - QQ')^-power by its n x n eigenvectors, without those of eigenvalue 0."""
    values, vectors = np.linalg.eigh(np.eye(len(q)) - q @ q.T)
    kept = values > SINGULAR
    return np.asarray((vectors[:, kept] * values[kept] ** -power) @ vectors[:, kept].T)


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("power", [0.5, 1.0])
def test_a_schools_adjustment_is_the_power_written_out(alone: bool, power: float) -> None:
    """Schools with fewer students than terms and with more, one that alone identifies a term, and one that is all."""
    rng = np.random.default_rng(5)
    for size in (1, 2, 4, 9, 30):
        x = rng.standard_normal((30, 4))
        if alone:
            x[:, 1] = np.arange(30) < size
        q, rows = np.linalg.qr(x)[0][:size], rng.standard_normal((3, size))
        np.testing.assert_allclose(
            adjusted_by(rows, q, power), rows @ written_out(q, power), rtol=1e-7, atol=1e-7
        )


def test_large_schools_take_no_square_of_their_students() -> None:
    """One of three schools treated: left to the textbook, which needs 12 000 students times terms and schools."""
    layout = Layout(schools=3, students=4_000, treated_schools=1)
    cell = Cell(RandomIntercept(icc=0.1), layout, Model("grade ~ treated"))
    batch = cell.draw(StreamSource(1, cell.law_key), range(1))
    tracemalloc.start()
    found = [get(name).fit(batch, cell.model, "reference") for name in ("ols-cr2-satt", "ols-cr3-t")]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6
    assert np.isfinite(found[0].df[0]).all()


@engines
@pytest.mark.parametrize("case", models_with("exact", "cr"), ids=str)
def test_stored_values(case: Golden, engine: str) -> None:
    """256-bit values: Satterthwaite df of CR1S (those of CR0 and CR1 too), CR2 and CR3, p-values of z and t(G - 1)."""
    data, rel = (case.batch(), case.spec()), tolerance(case)
    for kind, stored in {"CR0": "CR1S", "CR1": "CR1S", "CR1S": "CR1S", "CR2": "CR2", "CR3": "CR3"}.items():
        df = case.values("exact", "cr", stored, "satterthwaite", "df")
        assert_values(chosen(kind, "satterthwaite", data, engine), "df", df, rel)
    p = case.values("exact", "cr", "CR1S", "z", "p")
    assert_values(chosen("CR1S", "z", data, engine), "p_value", p, 100 * rel)
    for kind in ("CR1S", "CR3", "CRV3J"):
        p = case.values("exact", "cr", kind, "naive_t", "p")
        assert_values(chosen(kind, "t(G-1)", data, engine), "p_value", p, 100 * rel)


@engines
@pytest.mark.parametrize("case", models_with("fe"), ids=str)
def test_stored_values_with_school_dummies(case: Golden, engine: str) -> None:
    df = case.values("fe", "exact", "cr", "CR1S", "satterthwaite", "df")
    p = case.values("fe", "exact", "cr", "CR1S", "naive_t", "p")
    for reference, field, expected in (("satterthwaite", "df", df), ("t(G-1)", "p_value", p)):
        got = get({"name": "dummies-cr1s-z", "reference": reference}).fit(case.batch(), case.spec(), engine)
        given = {term: value for term, value in expected.items() if term in got.terms}
        assert given
        assert_values(got, field, given, 100 * tolerance(case))


@pytest.mark.parametrize("name", VALUES)
def test_p_values_of_r(name: str) -> None:
    """Every variance with z and with t(G - 1), by R."""
    ref = VALUES[name]["lm"]
    for kind, method in KINDS.items():
        if "se" in ref.get(kind, {}):
            for reference, column in (("z", "pz"), ("t(G-1)", "pt")):
                got = fit(name, choices_of(f"{method}:reference={reference}")[0])
                assert_column(got, "p_value", ref["terms"], ref[kind][column], 1e-5)


def trial(schools: int, treated: int, replications: int = 2) -> tuple[Batch, Model]:
    model = Model("grade ~ treated")
    layout = Layout(schools=schools, students=7, treated_schools=treated)
    return Cell(RandomIntercept(icc=0.3), layout, model).draw(3, range(replications)), model


@engines
@pytest.mark.parametrize(("treated", "control"), [(3, 6), (5, 5), (2, 9)])
def test_two_arms_of_equal_schools_have_closed_forms(treated: int, control: int, engine: str) -> None:
    """An arm of G_a schools adds w_a (G_a - 1) to tr(Omega) and w_a^2 (G_a - 1) to tr(Omega^2).

    w_a = 1/G_a^2 (CR0, CR1), 1/(G_a (G_a - 1)) (CR2: then df are Welch's for equal variances), 1/(G_a - 1)^2 (CR3 and
    the jackknife, whose influences sum to zero in each arm).
    """
    case, g = trial(treated + control, treated), np.array([treated, control])
    two, three = 1 / (g * (g - 1)), 1 / (g - 1) ** 2
    weights = dict.fromkeys(("CR0", "CR1", "CR1S"), 1 / g**2) | {"CR2": two, "CR3": three, "CRV3J": three}
    for kind, w in weights.items():
        df = (w * (g - 1)).sum() ** 2 / (w**2 * (g - 1)).sum()
        got = chosen(kind, "satterthwaite", case, engine)
        np.testing.assert_allclose(got.df[:, 1], df, rtol=1e-10, err_msg=kind)
        np.testing.assert_allclose(got.df[:, 0], control - 1, rtol=1e-10, err_msg=kind)


@engines
def test_one_student_a_school_gives_the_df_of_hc0_hc2_and_hc3(engine: str) -> None:
    """V = sum_i b_i^2 e_i^2 with b_i = a_i / (1 - h_i)^(k/2), k = 0, 1, 2, so that Omega_ij = b_i (I - H)_ij b_j."""
    model = Model("grade ~ age + resources")
    batch = Cell(RandomIntercept(), Layout(15, 1), model).draw(9, range(2))
    for r in range(2):
        one = batch.take([r])
        x = np.column_stack([np.ones(15), one.columns["age"], one.columns["resources"]])
        inverse = np.linalg.inv(x.T @ x)
        residual_maker = np.eye(15) - x @ inverse @ x.T
        for kind, k in {"CR1S": 0, "CR2": 1, "CR3": 2}.items():
            a = inverse @ x.T / np.diag(residual_maker) ** (k / 2)
            omega = a[:, :, None] * residual_maker * a[:, None, :]
            df = np.einsum("kii->k", omega) ** 2 / (omega**2).sum(axis=(1, 2))
            got = chosen(kind, "satterthwaite", (one, model), engine)
            np.testing.assert_allclose(got.df[0], df, rtol=1e-7, err_msg=kind)


def one_design(replications: int) -> tuple[Batch, Model]:
    """Outcomes of independent N(0, 1) beside the same unbalanced x and w in every replication."""
    sizes, rng = np.array([2, 9, 3, 5, 14, 4, 6]), np.random.default_rng(20)
    n, g = sizes.sum(), len(sizes)
    x, w = rng.normal(size=n) ** 3, np.repeat(rng.normal(size=g), sizes)
    columns = {
        "y": rng.normal(size=replications * n),
        "x": np.tile(x, replications),
        "w": np.tile(w, replications),
    }
    batch = Batch(
        columns=columns,
        group="s",
        school_offsets=offsets_of(np.tile(sizes, replications)),
        replication_offsets=np.arange(replications + 1) * g,
        replications=np.arange(replications),
        streams=StreamSource(1, "design"),
    )
    return batch, Model("y ~ x + w", group="s")


@pytest.mark.parametrize("kind", KINDS)
def test_df_are_those_of_the_variance_as_simulated(kind: str) -> None:
    """2 mean(V)^2 / var(V) of 20 000 data sets under the working model, each term; |z| < 5.4: 1e-6 over all 18."""
    got = chosen(kind, "satterthwaite", one_design(20_000))
    v = got.std_error**2
    centre, spread = v.mean(axis=0), v.var(axis=0)
    log_df = np.log(2 * centre**2 / spread)
    influence = 2 * (v - centre) / centre - (v - centre) ** 2 / spread
    z = (log_df - np.log(got.df[0])) / (influence.std(axis=0) / np.sqrt(len(v)))
    assert (np.abs(z) < 5.4).all(), z
    assert np.ptp(got.df, axis=0).max() < 1e-9
    assert (np.abs(log_df - np.log(6.0)) > 0.2).any(), "G - 1 would be told apart"


@engines
@pytest.mark.parametrize("kind", KINDS)
def test_z_and_t_change_the_reference_and_nothing_else(kind: str, engine: str) -> None:
    case = trial(8, 3)
    plain = get(KINDS[kind]).fit(*case, engine)
    for reference, df in {"z": np.inf, "t(G-1)": 7.0, "t(G-p)": 6.0}.items():
        got = chosen(kind, reference, case, engine)
        for name in ("estimate", "std_error", "status"):
            assert getattr(got, name).tobytes() == getattr(plain, name).tobytes(), name
        assert (got.df == df).all()
        t = np.abs(got.estimate / got.std_error)
        np.testing.assert_allclose(got.p_value, 2 * stats.t.sf(t, df), rtol=1e-10)
        half = stats.t.ppf(0.975, df) * got.std_error
        np.testing.assert_allclose(got.upper, got.estimate + half, rtol=1e-10)


@engines
@pytest.mark.parametrize("kind", KINDS)
def test_without_degrees_of_freedom_there_is_no_test(kind: str, engine: str) -> None:
    """Four schools, four and five coefficients of students: G - p is 0 and -1; the standard errors stay."""
    for formula in ("grade ~ age + gender + shoe", "grade ~ age + gender + shoe + hat"):
        batch = Cell(RandomIntercept(), Layout(4, 12), Model("grade ~ age + gender")).draw(1, range(2))
        rng = np.random.default_rng(1)
        extra = {name: rng.normal(size=len(batch.columns["age"])) for name in ("shoe", "hat")}
        wide, model = replace(batch, columns={**batch.columns, **extra}, _memo={}), Model(formula)
        got = chosen(kind, "t(G-p)", (wide, model), engine)
        assert set(got.status) == {FitStatus.OK}
        usual = chosen(kind, "z", (wide, model), engine)
        np.testing.assert_allclose(got.std_error, usual.std_error, rtol=1e-9)
        for name in ("df", "p_value", "lower", "upper"):
            assert np.isnan(getattr(got, name)).all(), name
        assert set(got.texts()) == {f"no degrees of freedom: {', '.join(got.terms)}"}


@engines
def test_one_treated_school_leaves_cr3_its_other_terms(engine: str) -> None:
    """Without that school `treated` isn't estimable; the intercept's df are those of the control schools alone."""
    for kind in ("CR3", "CRV3J"):
        got = chosen(kind, "satterthwaite", trial(8, 1), engine)
        assert set(got.status) == {FitStatus.SINGULAR}
        assert np.isnan(got.std_error[:, 1]).all()
        assert np.isnan(got.df[:, 1]).all()
        np.testing.assert_allclose(got.df[:, 0], 6.0, rtol=1e-9)


def refuse(*_: object) -> Estimates:
    raise AssertionError("left to the reference engine")


def test_the_fast_engine_leaves_no_regular_fit_to_the_other() -> None:
    for variance in (
        working(ols_batched.cr0("CR1")),
        working(ols_batched.leave_one_out(False), inverted=True),
        working(ols_batched.leave_one_out(True), inverted=True, centred=True),
        schools_less_terms(ols_batched.cr2),
        normal(ols_batched.cr2),
    ):
        assert ols_batched.pooled_engine(variance, refuse)(*trial(9, 4), {}).usable.all()


@engines
@pytest.mark.parametrize(
    ("name", "reference", "same"),
    [
        ("ols-cr0-z", "t(G-1)", "ols-cr0-t"),
        ("ols-cr0-t", "z", "ols-cr0-z"),
        ("ols-cr1s-z", "t(G-1)", "ols-cr1s-t"),
        ("ols-cr1s-t", "z", "ols-cr1s-z"),
        ("ols-cr2-satt", "satterthwaite", "ols-cr2-satt"),
    ],
)
def test_names_are_choices_of_a_reference(name: str, reference: str, same: str, engine: str) -> None:
    case = trial(8, 3)
    got, expected = (
        get({"name": name, "reference": reference}).fit(*case, engine),
        get(same).fit(*case, engine),
    )
    for column in STORED_COLUMNS:
        assert getattr(got, column).tobytes() == getattr(expected, column).tobytes(), column


def test_what_a_name_says_is_no_option() -> None:
    """Labels, and with them stored keys, are those of before."""
    for estimator in ESTIMATORS:
        if "reference" in estimator.choices:
            own = get({"name": estimator.name, "reference": estimator.options["reference"]})
            assert own == get(estimator.name)
            assert own.label == estimator.name


def test_labels_can_be_typed_and_words_follow_the_choice() -> None:
    for choice in referred():
        method = get(choice)
        assert method.label == f"{choice['name']}(reference={choice['reference']})"
        (typed,) = choices_of(f"{choice['name']}:reference={choice['reference']}")
        (copied,) = choices_of(method.label)
        assert get(typed) == get(copied) == method
        words = {"z": "normal", "t(G-1)": "t(G - 1)", "t(G-p)": "t(G - p)", "satterthwaite": "Satterthwaite"}
        assert words[choice["reference"]] in method.info.summary
        df = {"z": "inf (z)", "t(G-1)": "G - 1", "t(G-p)": "G - p"}
        assert method.info.df == df.get(choice["reference"], "per term (Satterthwaite)")


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("ols-cr1s-t", "saterthwaite", "Did you mean 'satterthwaite'"),
        ("ols-cr1s-t", "t(G - 1)", "Did you mean 't\\(G-1\\)'"),
        ("ols-cr2-satt", 5, "one of z, t\\(G-1\\), t\\(G-p\\), satterthwaite, got '5'"),
        ("dummies-cr1s-z", "t(G-p)", "one of z, t\\(G-1\\), satterthwaite, got"),
        ("mundlak-cr1s-t", "normal", "expected mundlak-cr1s-t.reference"),
    ],
)
def test_an_unknown_choice_is_refused_before_anything_runs(name: str, value: object, hint: str) -> None:
    with pytest.raises(InvalidInput, match=hint):
        get({"name": name, "reference": value})


@engines
def test_stands_beside_the_diagnostics(engine: str) -> None:
    case = trial(8, 3)
    both = get({"name": "ols-cr1s-t", "reference": "satterthwaite", "diagnostics": True})
    assert both.label == "ols-cr1s-t(diagnostics=True, reference=satterthwaite)"
    got = both.fit(*case, engine)
    assert "(max_leverage)" in got.quantities
    assert got.df.tobytes() == chosen("CR1S", "satterthwaite", case, engine).df.tobytes()


def test_every_variance_has_every_reference() -> None:
    assert {get(name).choices["reference"] for name in KINDS.values()} == {CHOICES}
