"""Small synthetic runs with known laws: what reports are tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Estimator, Info
from nestbench.experiments.experiment import Experiment
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from tests.reports.held import RunInMemory

TERMS = ("Intercept", "age", "gender[T.male]", "resources")


@dataclass(frozen=True)
class Law:
    """A law that knows its truth and what OLS will get wrong."""

    name: ClassVar[str] = "test-law"
    icc: float = 0.2

    @property
    def truth(self) -> dict[str, float]:
        return {
            "Intercept": 50.0,
            "age": 2.0,
            "gender[T.male]": 1.0,
            "resources": 0.5,
            "(icc)": self.icc,
        }

    def theory(self, layout: Layout, model: Model | None = None) -> dict[str, Any]:
        effect = 1 + (float(layout.sizes().mean()) - 1) * self.icc
        naive = float(2 * stats.norm.cdf(1.96 / effect**0.5) - 1)
        return {
            "design_effect": effect,
            "naive_se_ratio": {"Intercept": effect**-0.5, "resources": effect**-0.5},
            "naive_coverage": {"Intercept": naive, "resources": naive},
        }

    def draw(self, layout: Layout, streams: Any, replications: range) -> Any:
        return RandomIntercept(icc=self.icc).draw(layout, streams, replications)


def estimates_of(
    estimate: np.ndarray,
    std_error: np.ndarray,
    terms: Sequence[str],
    df: float = np.inf,
    level: float = 0.95,
    status: np.ndarray | None = None,
    quantities: Mapping[str, np.ndarray] | None = None,
    messages: Sequence[str] = ("",),
    message: np.ndarray | None = None,
    replications: np.ndarray | None = None,
) -> Estimates:
    """Estimates with Wald t intervals; arrays [R, K]."""
    reps = len(estimate)
    t = stats.t(df) if np.isfinite(df) else stats.norm()
    half = t.ppf(0.5 + level / 2) * std_error
    return Estimates(
        terms=tuple(terms),
        replications=np.arange(reps) if replications is None else replications,
        estimate=estimate,
        std_error=std_error,
        df=np.full(estimate.shape, df),
        lower=estimate - half,
        upper=estimate + half,
        p_value=2 * t.sf(np.abs(estimate / std_error)),
        status=np.zeros(reps, np.int8) if status is None else status.astype(np.int8),
        quantities=dict(quantities or {}),
        message=np.zeros(reps, np.int32) if message is None else message.astype(np.int32),
        messages=tuple(messages),
        seconds=np.full(reps, np.nan),
    )


def simple_estimates(
    seed: int = 1, reps: int = 200, truth: float = 0.5, terms: int = 2, **more: Any
) -> Estimates:
    """Heavy-tailed estimates around a truth, chi-squared variances."""
    rng = np.random.default_rng(seed)
    estimate = truth + 0.2 * rng.standard_t(6, (reps, terms)) + 0.02
    std_error = 0.2 * np.sqrt(rng.chisquare(8, (reps, terms)) / 8)
    return estimates_of(estimate, std_error, [f"x{k}" for k in range(terms)], **more)


def estimator(name: str, label: str = "", assumes: str = "independent students") -> Estimator:
    return Estimator(
        name,
        1,
        Info(label or name, f"{name} in one line", assumes, "inf (z)", "Liang & Zeger 1986"),
        theory=("iid-t",) if name == "ols" else (),
    )


@dataclass
class FakeResults(RunInMemory):
    """A run held in memory, with times and audits."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    audit: pd.DataFrame = field(default_factory=pd.DataFrame)

    def timings(self, cell: int) -> pd.DataFrame:
        rng = np.random.default_rng(cell)
        parts = [
            pd.DataFrame(
                {
                    "estimator": label,
                    "engine": "reference",
                    "replication": found.replications,
                    "seconds": self.seconds.get(label, 1e-3) * rng.lognormal(0, 0.2, found.size),
                }
            )
            for label, found in self.cells[cell].items()
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def audits(self) -> pd.DataFrame:
        return self.audit


METHODS: dict[str, tuple[str, float]] = {
    # name: (what its SE for school-level terms is missing, failure share)
    "ols": ("all", 0.0),
    "ols-cr1s-z": ("few", 0.0),
    "ols-cr1s-t": ("little", 0.0),
    "ols-cr2-satt": ("nothing", 0.0),
    "dummies-cr1s-z": ("few", 0.0),
    "mixedlm": ("little", 0.06),
}


def school_study(
    reps: int = 400, seed: int = 7, schools: Sequence[int] = (6, 10, 30), icc: Sequence[float] = (0.0, 0.2)
) -> FakeResults:
    """A study like the default one, drawn from sampling distributions instead of from data."""
    cells, levels, found = [], [], []
    for g in schools:
        for rho in icc:
            population, layout = Law(icc=rho), Layout(schools=g, students=20)
            cells.append(Cell(population, layout, Model("grade ~ age + gender + resources")))
            levels.append({"layout.schools": g, "population.icc": rho})
            found.append(_cell(np.random.default_rng([seed, g, int(100 * rho)]), g, rho, reps))
    experiment = Experiment(
        name="few-schools",
        title="Which method survives few schools?",
        aims="To see which method keeps its promised coverage when there are few schools.",
        cells=tuple(cells),
        levels=tuple(levels),
        estimators=tuple(estimator(name) for name in METHODS),
        replications=reps,
        source='[experiment]\nname = "few-schools"\n',
    )
    provenance = {
        "nestbench": "0.1.0",
        "numpy": np.__version__,
        "python": "3.11",
        "cpu": "test",
        "commit": "abc",
    }
    seconds = {"mixedlm": 0.04, "ols": 3e-4}
    return FakeResults(experiment, found, provenance, seconds)


def _cell(rng: np.random.Generator, g: int, rho: float, reps: int) -> dict[str, Estimates]:
    truth = np.array([50.0, 2.0, 1.0, 0.5])
    deff = 1 + 19 * rho
    within, between = 1 / np.sqrt(20 * g), np.sqrt(deff / (20 * g))
    sd = np.array([between, within, 2 * within, between * np.sqrt(g / max(g - 3, 1))])
    t = truth + sd * rng.standard_normal((reps, 4))
    chi_g = np.sqrt(rng.chisquare(g - 2, (reps, 4)) / (g - 2))
    chi_n = np.sqrt(rng.chisquare(20 * g - 4, (reps, 4)) / (20 * g - 4))
    naive = sd / np.array([np.sqrt(deff), 1, 1, np.sqrt(deff)]) * chi_n
    out = {}
    for name, (missing, failing) in METHODS.items():
        se = naive if missing == "all" else sd * chi_g * (0.85 if missing == "few" else 1.0)
        df = {"all": 20 * g - 4, "few": np.inf, "little": g - 1, "nothing": g - 2}[missing]
        status = np.where(rng.random(reps) < failing, FitStatus.NOT_CONVERGED, FitStatus.OK)
        estimate, se = t.copy(), se.copy()
        if name.startswith("dummies"):
            estimate[:, [0, 3]] = se[:, [0, 3]] = np.nan
        quantities = {}
        if name == "mixedlm":
            quantities = {"(icc)": np.clip(rho + 0.1 * rng.standard_normal(reps), 0, 1)}
        bad = (status > 1).astype(int)
        out[name] = estimates_of(
            estimate,
            se,
            TERMS,
            df=df,
            status=status,
            quantities=quantities,
            messages=("", "The MLE may be on the boundary; <gradient> & co."),
            message=bad,
        )
    return out
