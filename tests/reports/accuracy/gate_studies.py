"""Small runs for the accuracy gate: clean ones, and the same with a defect built in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import stats

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Agreement, Estimator, Info
from nestbench.experiments.experiment import Experiment
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from tests.reports.held import RunInMemory

TERMS = ("Intercept", "age", "gender[T.male]", "resources")
TRUTH = np.array([50.0, 2.0, 1.0, 0.0])
SD = np.array([0.5, 0.05, 0.1, 0.2])
DF = 9.0
PACKAGES = {"nestbench": "0.1.0", "statsmodels": "0.15.0", "numpy": "2.4.0"}


@dataclass
class Memory(RunInMemory):
    """A run held in memory, made with `PACKAGES`."""

    provenance: Mapping[str, Any] = field(default_factory=lambda: {"packages": PACKAGES})


def never(batch: Any, model: Any, options: Any) -> Estimates:
    raise AssertionError("these methods are never fitted")


def method(
    name: str, version: int = 1, batched: bool = True, agreement: Agreement | None = Agreement.DIRECT
) -> Estimator:
    info = Info(name, name, "nothing", "9", "nobody")
    return Estimator(name, version, info, never, never if batched else None, agreement)


def wald_estimates(
    estimate: np.ndarray, std_error: np.ndarray, df: float, first: int = 0, **more: Any
) -> Estimates:
    """Right t intervals and tests at the 5 % level around estimates [R, 4]."""
    half = stats.t.ppf(0.975, df) * std_error
    reps = len(estimate)
    return Estimates(
        terms=TERMS,
        replications=np.arange(first, first + reps),
        estimate=estimate,
        std_error=std_error,
        df=np.full(estimate.shape, df),
        lower=estimate - half,
        upper=estimate + half,
        p_value=2 * stats.t.sf(np.abs(estimate / std_error), df),
        status=np.zeros(reps, np.int8),
        quantities=more.get("quantities", {}),
        message=np.zeros(reps, np.int32),
        messages=("",),
        seconds=np.full(reps, np.nan),
    )


def drawn(rng: np.random.Generator, reps: int, first: int = 0) -> Estimates:
    """Exact t statistics: normal estimates, scaled chi-squared variances with 9 df."""
    estimate = TRUTH + SD * rng.standard_normal((reps, 4))
    std_error = SD * np.sqrt(rng.chisquare(DF, (reps, 4)) / DF)
    icc = np.clip(0.2 + 0.1 * rng.standard_normal(reps), 0, 1)
    return wald_estimates(estimate, std_error, DF, first, quantities={"(icc)": icc})


Draw = Callable[[np.random.Generator, int], Estimates]
LAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "t(2.5)": lambda rng, shape: rng.standard_t(2.5, shape),
    "lognormal(2)": lambda rng, shape: rng.lognormal(0.0, 2.0, shape) - np.exp(2.0),
}


def means_of(law: str, students: int = 10) -> Draw:
    """t intervals for the mean of a few values: estimates and standard errors as heavy-tailed as the law makes them."""

    def draw(rng: np.random.Generator, reps: int) -> Estimates:
        values = LAWS[law](rng, (reps, 4, students))
        error = values.std(axis=2, ddof=1) / students**0.5
        return wald_estimates(TRUTH + SD * values.mean(axis=2), SD * error, students - 1.0)

    return draw


def gate_study(
    reps: int = 200,
    seed: int = 1,
    cells: int = 3,
    methods: tuple[str, ...] = ("plain", "robust"),
    version: int = 1,
    batched: bool = True,
    packages: Mapping[str, str] | None = None,
    draw: Draw = drawn,
    agreement: Agreement | None = Agreement.DIRECT,
) -> Memory:
    """A run whose methods are right: unbiased, exact t intervals."""
    laws = [RandomIntercept(icc=round(0.1 * i, 3)) for i in range(cells)]
    effects = {"Intercept": 50.0, "age": 2.0, "gender": 1.0, "resources": 0.0}
    laws = [replace(law, effects=effects) for law in laws]
    experiment = Experiment(
        name="gate",
        title="gate",
        aims="",
        cells=tuple(Cell(law, Layout(10, 20), Model("grade ~ age + gender + resources")) for law in laws),
        levels=tuple({"population.icc": law.icc} for law in laws),
        estimators=tuple(method(name, version, batched, agreement) for name in methods),
        replications=reps,
        seed=seed,
    )
    found = [
        {name: draw(np.random.default_rng([seed, c, m]), reps) for m, name in enumerate(methods)}
        for c in range(cells)
    ]
    return Memory(experiment, found, {"packages": {**PACKAGES, **(packages or {})}})


def changed(results: Memory, label: str, **columns: Callable[[Estimates], np.ndarray]) -> Memory:
    """The run with some arrays of a method replaced in every cell."""
    cells = []
    for found in results.cells:
        old = found[label]
        cells.append({**found, label: replace(old, **{name: make(old) for name, make in columns.items()})})
    return replace(results, cells=cells)


def rebuilt(old: Estimates, estimate: np.ndarray, std_error: np.ndarray, df: float = DF) -> Estimates:
    """Estimates with new numbers and the intervals and tests that follow."""
    made = wald_estimates(estimate, std_error, df, quantities=old.quantities)
    return replace(made, replications=old.replications, status=old.status)


def scaled_se(factor: float) -> Callable[[Estimates], Estimates]:
    """Standard errors wrong by a factor."""
    return lambda old: rebuilt(old, old.estimate, factor * old.std_error)


def small_se(old: Estimates) -> Estimates:
    """Standard errors 5 % too small."""
    return scaled_se(0.95)(old)


def wrong_df(old: Estimates) -> Estimates:
    """One degree of freedom too many."""
    return rebuilt(old, old.estimate, old.std_error, DF + 1)


def flipped_sign(old: Estimates) -> Estimates:
    """The sign of one term flipped."""
    return rebuilt(old, old.estimate * np.array([1, 1, -1, 1]), old.std_error)


def shifted(old: Estimates) -> Estimates:
    """A bias of a quarter of the empirical SE in one term."""
    return rebuilt(old, old.estimate + SD * np.array([0, 0, 0.25, 0]), old.std_error)


def narrow(old: Estimates) -> Estimates:
    """Intervals of a 90 % level that are said to have 95 %; tests and standard errors as they were."""
    half = stats.t.ppf(0.95, DF) * old.std_error
    return replace(old, lower=old.estimate - half, upper=old.estimate + half)


def failing(old: Estimates) -> Estimates:
    """One fit in a hundred fails."""
    bad = _chosen(old, 0.01, 99)
    values = {name: np.where(bad[:, None], np.nan, getattr(old, name)) for name in
              ("estimate", "std_error", "df", "lower", "upper", "p_value")}  # fmt: skip
    status = np.where(bad, FitStatus.FAILED, old.status).astype(np.int8)
    return replace(old, **values, status=status)


def silent_zero(old: Estimates) -> Estimates:
    """In one fit of fifty a term comes back as exactly 0 with an absurd SE and status OK."""
    bad = _chosen(old, 0.02, 98)
    estimate, std_error = old.estimate.copy(), old.std_error.copy()
    estimate[bad, 0], std_error[bad, 0] = 0.0, 1e7
    return rebuilt(old, estimate, std_error)


def small_zero(old: Estimates) -> Estimates:
    """In one fit of a hundred a term with a small effect comes back as exactly 0, nothing else."""
    bad = _chosen(old, 0.01, 97)
    estimate = old.estimate.copy()
    estimate[bad, 2] = 0.0
    return rebuilt(old, estimate, old.std_error)


def fewer_schools(old: Estimates) -> Estimates:
    """One school in twenty left out: estimates and standard errors as of 5 % fewer data, the df as they were."""
    noise = np.random.default_rng(int(1e6 * abs(old.estimate[0, 0]))).standard_normal(old.estimate.shape)
    return rebuilt(old, old.estimate + SD * np.sqrt(1 / 19) * noise, old.std_error * np.sqrt(20 / 19))


def _chosen(old: Estimates, share: float, salt: int) -> np.ndarray:
    """A share of the data sets, others in each run."""
    return np.random.default_rng([salt, int(1e6 * abs(old.estimate[0, 0]))]).random(old.size) < share


DEFECTS: dict[str, Callable[[Estimates], Estimates]] = {
    "SE 3 % too large": scaled_se(1.03),
    "SE 5 % too large": scaled_se(1.05),
    "SE 5 % too small": small_se,
    "df wrong by one": wrong_df,
    "sign of one term flipped": flipped_sign,
    "a bias of a quarter of the empirical SE": shifted,
    "90 % intervals for 95 %": narrow,
    "1 % of fits fail": failing,
    "a silent zero in 2 % of fits": silent_zero,
    "a silent zero in 1 % of fits, small effect": small_zero,
    "a school in twenty dropped": fewer_schools,
}


def with_defect(results: Memory, label: str, defect: Callable[[Estimates], Estimates]) -> Memory:
    """The run with a defect in one method, in every cell."""
    cells = [{**found, label: defect(found[label])} for found in results.cells]
    return replace(results, cells=cells)
