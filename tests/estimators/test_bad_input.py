"""Bad input to every fast engine: a status and a message, never an exception or a warning, never a wrong number.

Data sets are small and random, spoiled in one of many ways (`KINDS`), over regular and degenerate school sizes. What is
answered is compared with the dense oracles in coordinates that lose no digits (`tests.oracles.conditioned`), and
with the same method on the same data moved, rescaled, reordered or relabelled.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from nestbench.estimators.estimates import STORED_COLUMNS, Estimates, FitStatus
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods.registry import get
from tests.estimators.declared import READY
from tests.estimators.hard_data import LEAST_SQUARES, Case, covariance, drawn, labelled
from tests.oracles import mixed_dense
from tests.oracles.conditioned import Conditioned

Change = Callable[[Case], Case]


def combined(**columns: Callable[[dict[str, np.ndarray]], np.ndarray]) -> Change:
    """Return a change of columns by functions of the columns."""
    return lambda case: case.change(**{name: make(dict(case.columns)) for name, make in columns.items()})


def scaled(**units: float) -> Change:
    """Return a change of units."""
    return lambda case: case.change(**{name: case.columns[name] * unit for name, unit in units.items()})


def shifted(**by: float) -> Change:
    """Return a change of origins."""
    return lambda case: case.change(**{name: case.columns[name] + step for name, step in by.items()})


def one(column: str, value: float) -> Change:
    """Return a change of one student's value."""
    return lambda case: case.change(
        **{column: np.where(np.arange(len(case.schools)) == 1, value, case.columns[column])}
    )


def every(unit: float) -> Change:
    return scaled(y=unit, x1=unit, x2=unit, w=unit)


KINDS: dict[str, Change] = {
    "plain": lambda case: case,
    "collinear": combined(x2=lambda c: 12 * c["x1"] + 3),
    "nearly collinear": combined(x2=lambda c: c["x1"] + 1e-7 * c["x2"]),
    "collinear but for rounding": combined(x2=lambda c: c["x1"] + 1e-13 * c["x2"]),
    "collinear within schools": combined(x2=lambda c: 2 * c["x1"] + c["w"]),
    "two school columns alike": combined(x2=lambda c: c["w"] * 1.0),
    "constant column": combined(x1=lambda c: np.full_like(c["x1"], 0.1)),
    "zero column": combined(x1=lambda c: np.zeros_like(c["x1"])),
    "nearly constant in schools": combined(x1=lambda c: c["w"] + 1e-7 * c["x1"]),
    "constant outcome": combined(y=lambda c: np.full_like(c["y"], 0.1)),
    "zero outcome": combined(y=lambda c: np.zeros_like(c["y"])),
    "outcome constant in schools": combined(y=lambda c: np.sin(7 * c["w"])),
    "outcome fitted exactly": combined(y=lambda c: 3 * c["x1"] + 1),
    "outcome nearly fitted": combined(y=lambda c: 3 * c["x1"] + 1e-8 * c["y"]),
    "outcome 1e12": scaled(y=1e12),
    "outcome 1e-12": scaled(y=1e-12),
    "column 1e12": scaled(x1=1e12),
    "column 1e-12": scaled(x1=1e-12),
    "school column 1e12": scaled(w=1e12),
    "all 1e12": every(1e12),
    "all 1e-12": every(1e-12),
    "mixed units": scaled(y=1e-12, x1=1e12, x2=1e-12, w=1e6),
    "far outcome": shifted(y=1e8),
    "far column": shifted(x1=1e8),
    "far school column": shifted(w=1e8),
    "outlier": one("y", 1e9),
    "outlying column": one("x1", 1e6),
    "one student's dummy": combined(x1=lambda c: (np.arange(len(c["y"])) == 0) * 1.0),
    "one school's dummy": lambda case: case.change(w=(case.schools == 0) * 1.0),
    "varies in one school": lambda case: case.change(x1=np.where(case.schools == 0, case.columns["x1"], 0.0)),
    "whole numbers": combined(
        y=lambda c: np.round(c["y"]), x1=lambda c: np.sign(c["x1"]), w=lambda c: np.sign(c["w"])
    ),
}
REFUSED: dict[str, Change] = {
    "outcome 1e200": scaled(y=1e200),
    "outcome 1e-200": scaled(y=1e-200),
    "outcome 1e307": scaled(y=1e307),
    "column 1e200": scaled(x1=1e200),
    "column 1e-200": scaled(x1=1e-200),
    "school column 1e60": scaled(w=1e60),
    "outcome nan": one("y", np.nan),
    "outcome inf": one("y", -np.inf),
    "column nan": one("x1", np.nan),
    "school column inf": one("w", np.inf),
}
"""No method has an answer to these."""

FRIENDLY = [(3, 7, 5, 9, 4, 6), (4, 6, 5, 7, 5), (1, 3, 6, 2, 9, 4), (2, 5, 3, 8, 1, 4, 6)]
DEGENERATE = [
    (9,), (4,), (4, 5), (2, 2), (6, 6), (2, 3), (1,) * 6, (1,) * 12, (1,) * 4, (1,) * 5, (2,) * 6,
    (1, 1, 1, 1, 5), (1, 2, 1, 1), (1, 1, 2), (12, 1, 1, 1), (30, 2, 3),
]  # fmt: skip
"""A single school, two, one student a school, as many students as coefficients, or one more."""

FAST = {"ols-wild": 39, "ols-wild-u": 39, "pairs-bootstrap": 39, "permutation": 39}
BATCHED = [e.with_options({"draws": FAST[e.name]} if e.name in FAST else {}) for e in READY if e.batched]
SLOPES = ("reml-z", "ml-z", "reml-bw", "reml-satt", "reml-kr", "reml-cr2")
METHODS = [(e, "1") for e in BATCHED] + [(get(n), r) for n in SLOPES for r in ("1 + x1", "0 + x1")]
methods = st.sampled_from(METHODS)
seeds = st.integers(0, 10**6)


def fitted(case: Case, method: tuple[Estimator, str]) -> Estimates:
    """Fit by the fast engine; a warning is an error here."""
    estimator, random = method
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return estimator.fit(case.batch(), replace(case.model, random=random), "batched")


def assert_sound(got: Estimates) -> None:
    """Whatever the data: numbers that can be numbers, and words where there are none."""
    status, text = FitStatus(int(got.status[0])), got.texts()[0]
    if not status.usable:
        assert text, "a fit that is not usable says why"
        return
    estimate, std_error, df, p = (
        getattr(got, name)[0] for name in ("estimate", "std_error", "df", "p_value")
    )
    silent = ~np.isfinite(estimate) | ~np.isfinite(std_error) | ~np.isfinite(p)
    assert text or not silent.any(), "a term without an answer says why"
    there = np.isfinite(std_error)
    assert (std_error[there] > 0).all()
    assert np.isfinite(estimate[there]).all()
    assert (df[there & ~np.isnan(df)] > 0).all()
    assert ((p >= 0) & (p <= 1))[there & np.isfinite(p)].all()
    assert (got.lower[0] <= got.upper[0])[there & np.isfinite(p)].all()


def check_sound(seed: int, sizes: tuple[int, ...], kind: str, method: tuple[Estimator, str]) -> None:
    with np.errstate(all="ignore"):
        case = {**KINDS, **REFUSED}[kind](drawn(seed, sizes))
    got = fitted(case, method)
    assert_sound(got)
    if kind in REFUSED:
        assert not FitStatus(int(got.status[0])).usable
        assert np.isnan(got.std_error).all()


every_kind = st.sampled_from([*KINDS, *REFUSED])
every_size = st.sampled_from([*FRIENDLY, *DEGENERATE])


@settings(max_examples=150, deadline=None)
@given(seeds, every_size, every_kind, methods)
def test_a_status_and_a_message_never_an_exception(
    seed: int, sizes: tuple[int, ...], kind: str, method: tuple[Estimator, str]
) -> None:
    check_sound(seed, sizes, kind, method)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(seeds, every_size, every_kind, methods)
def test_a_status_and_a_message_on_many_more(
    seed: int, sizes: tuple[int, ...], kind: str, method: tuple[Estimator, str]
) -> None:
    check_sound(seed, sizes, kind, method)


ROUNDING = 2e-14
"""Share of the largest outcome that sums over rounded outcomes may lose."""


def rounded(estimate: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Return what the rounding of sums and of the terms themselves may move in every term [p]."""
    return np.asarray(4e-16 * np.abs(np.nan_to_num(estimate)) + rounding)


DIVIDING = ("cr2", "cr3", "jackknife", "-md-")
"""In the names of methods that divide the residuals of a school by what its own leverage leaves."""


def magnified(case: Case, well: Conditioned) -> float:
    """Return the most that (I - H_gg)^-1 makes of an error in a school's residuals, where it has an inverse."""
    q = well.x / np.sqrt((well.x**2).sum(axis=0))
    most = 1.0
    for school in range(len(case.sizes)):
        own = q[case.schools == school]
        left = np.linalg.eigvalsh(np.eye(len(own)) - own @ own.T)
        most = max(most, 1.0 / left[left > 1e-9].min(initial=1.0))
    return most


def check_numbers(seed: int, sizes: tuple[int, ...], kind: str, name: str) -> None:
    """Every number of a least-squares method that is given is the dense definition's."""
    case = KINDS[kind](drawn(seed, sizes))
    got = fitted(case, (labelled(name), "1"))
    if got.status[0] not in (FitStatus.OK, FitStatus.SINGULAR):
        return
    with np.errstate(all="ignore"):
        try:
            terms, expected, well, rows = LEAST_SQUARES[name](case)
        except np.linalg.LinAlgError:
            return
    at = [got.terms.index(term) for term in terms]
    answered = [t for t, value in zip(got.terms, got.estimate[0], strict=True) if np.isfinite(value)]
    assert set(answered) <= set(terms)
    there = np.isfinite(got.std_error[0, at])
    size = np.where(np.isfinite(expected.std_error), expected.std_error, 0.0)
    off = np.abs(got.estimate[0, at] - expected.estimate)[there]
    rounding = rounded(expected.estimate, well.rounding[rows])[there]
    assert (off <= 1e-6 * size[there] + rounding).all(), (off, size)
    rtol = 1e-6 + 1e-13 / min(well.shares[well.kept], default=1.0)
    if any(part in name for part in DIVIDING):
        rounding = rounding * magnified(case, well)
    apart = np.abs(got.std_error[0, at] - expected.std_error)[there]
    assert (apart <= rtol * size[there] + rounding).all(), (apart, size)
    np.testing.assert_allclose(got.df[0, at][there], expected.df[there], rtol=10 * rtol)


@settings(max_examples=60, deadline=None, phases=[Phase.generate])
@given(seeds, every_size, st.sampled_from(list(KINDS)), st.sampled_from(list(LEAST_SQUARES)))
def test_numbers_of_least_squares_are_those_of_the_oracle(
    seed: int, sizes: tuple[int, ...], kind: str, name: str
) -> None:
    check_numbers(seed, sizes, kind, name)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(seeds, every_size, st.sampled_from(list(KINDS)), st.sampled_from(list(LEAST_SQUARES)))
def test_numbers_of_least_squares_on_many_more(
    seed: int, sizes: tuple[int, ...], kind: str, name: str
) -> None:
    check_numbers(seed, sizes, kind, name)


def check_mixed(seed: int, sizes: tuple[int, ...], kind: str, name: str) -> None:
    """All numbers are those of GLS at the fit's own variances, and no others have a higher likelihood."""
    case = KINDS[kind](drawn(seed, sizes))
    got, well = fitted(case, (get(name), "1")), case.well
    if got.status[0] > FitStatus.BOUNDARY:
        return
    assert len(well.kept) == len(case.terms)
    restricted = name != "ml-z"
    v, parts = covariance(case, got.quantities)
    beta, rss, c = mixed_dense.gls(well.y, well.x, v)
    n, p = well.x.shape
    nu = n - p if restricted else n
    rtol = 1e-6 + 1e-13 / well.shares.min()
    std_error = np.sqrt(rss / nu * np.diag(well.back @ c @ well.back.T))
    estimate = well.shift + well.back @ beta
    rounding = rounded(estimate, well.rounding)
    assert (np.abs(got.std_error[0] - std_error) <= rtol * std_error + rounding).all()
    # The oracle solves with V as a whole, and a residual SD of 1e-4 school SDs costs it eight digits (seen in 50).
    rounding = rounding + np.finfo(float).eps * np.linalg.cond(v) * np.abs(estimate)
    assert (np.abs(got.estimate[0] - estimate) <= rtol * std_error + rounding).all()
    lost = ROUNDING * np.abs(case.columns["y"]).max()
    residual_sd = well.unit * np.sqrt(rss / nu)
    assert got.quantities["(residual_sd)"][0] == pytest.approx(residual_sd, rel=rtol, abs=lost)
    loglik = -0.5 * mixed_dense.profiled(well.y, well.x, v, restricted) - nu * np.log(well.unit)
    if restricted:
        loglik += np.linalg.slogdet(well.back / well.unit)[1]
    assert got.quantities["(loglik)"][0] == pytest.approx(
        loglik, rel=1e-7, abs=1e-5 + nu * lost / residual_sd
    )
    best = mixed_dense.profiled(well.y, well.x, v, restricted)
    for theta in np.geomspace(1e-2, 1e2, 13):
        for part in parts[:-1]:
            other = np.eye(n) + theta**2 * part
            assert mixed_dense.profiled(well.y, well.x, other, restricted) >= best - 1e-6


@settings(max_examples=60, deadline=None)
@given(
    seeds,
    every_size,
    st.sampled_from(list(KINDS)),
    st.sampled_from(["reml-z", "ml-z", "nested-z", "reml-satt"]),
)
def test_mixed_fits_are_those_of_the_oracle(seed: int, sizes: tuple[int, ...], kind: str, name: str) -> None:
    check_mixed(seed, sizes, kind, name)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(
    seeds,
    every_size,
    st.sampled_from(list(KINDS)),
    st.sampled_from(["reml-z", "ml-z", "nested-z", "reml-satt"]),
)
def test_mixed_fits_on_many_more(seed: int, sizes: tuple[int, ...], kind: str, name: str) -> None:
    check_mixed(seed, sizes, kind, name)


def permuted(case: Case, seed: int) -> Case:
    """Return the same data with the students of every school in another order."""
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(case.schools)), case.schools))
    columns = {name: values[order] for name, values in case.columns.items()}
    return replace(case, columns=columns, klass=case.klass[order])


def relabelled(case: Case, seed: int) -> Case:
    """Return the same data with the schools in another order."""
    new = np.random.default_rng(seed).permutation(len(case.sizes))
    order = np.argsort(new[case.schools], kind="stable")
    sizes = tuple(np.array(case.sizes)[np.argsort(new)].tolist())
    columns = {name: values[order] for name, values in case.columns.items()}
    return replace(case, sizes=sizes, columns=columns, klass=case.klass[order])


SCALES = {"powers of two": (2.0**40, 2.0**-37), "other units": (1e12, 1e-12), "small and large": (3e-9, 7e8)}


@settings(max_examples=80, deadline=None)
@given(seeds, st.sampled_from(FRIENDLY), methods, st.sampled_from(list(SCALES)))
def test_units_do_not_matter(
    seed: int, sizes: tuple[int, ...], method: tuple[Estimator, str], units: str
) -> None:
    of_y, of_x = SCALES[units]
    case = drawn(seed, sizes)
    plain, got = (fitted(c, method) for c in (case, scaled(y=of_y, x1=of_x)(case)))
    assert got.status[0] == plain.status[0]
    back = np.array([of_y / (of_x if term == "x1" else 1.0) for term in plain.terms])
    rtol = 1e-5 if "slope" in method[0].name or method[1] != "1" else 1e-6
    for name in ("estimate", "std_error", "lower", "upper"):
        expected = getattr(plain, name)[0]
        size = np.where(np.isfinite(expected), np.fmax(np.abs(expected), plain.std_error[0]), 1.0)
        with np.errstate(invalid="ignore"):
            off = np.abs(getattr(got, name)[0] / back - expected)
        assert not (off > rtol * size).any(), (name, off / size)
    np.testing.assert_allclose(got.p_value, plain.p_value, rtol=1e-3, atol=1e-9)


@settings(max_examples=80, deadline=None)
@given(seeds, st.sampled_from(FRIENDLY), methods, st.sampled_from(["origin", "students", "schools"]))
def test_origins_and_order_do_not_matter(
    seed: int, sizes: tuple[int, ...], method: tuple[Estimator, str], change: str
) -> None:
    case = drawn(seed, sizes)
    drawn_schools = method[0].name in ("ols-wild", "ols-wild-u", "pairs-bootstrap", "permutation")
    moved = {
        "origin": lambda: shifted(y=1e5, x2=-3e4)(case),
        "students": lambda: permuted(case, seed),
        "schools": lambda: relabelled(case, seed),
    }[change]()
    plain, got = (fitted(c, method) for c in (case, moved))
    assert got.status[0] == plain.status[0]
    keep = [k for k, term in enumerate(plain.terms) if change != "origin" or term != "Intercept"]
    fields = ("estimate",) if drawn_schools and change == "schools" else STORED_COLUMNS
    for name in fields:
        ours, theirs = getattr(got, name)[0, keep], getattr(plain, name)[0, keep]
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("estimator", "random"), METHODS, ids=lambda value: getattr(value, "name", value))
def test_no_data_sets_give_no_rows(estimator: Estimator, random: str) -> None:
    case = drawn(1, FRIENDLY[0])
    none = case.batch().take([])
    got = estimator.fit(none, replace(case.model, random=random), "batched")
    assert got.size == 0
    assert got.estimate.shape == (0, 4)
