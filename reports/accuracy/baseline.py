"""The accuracy of a run as a small file: what `nestbench baseline` writes and `nestbench check` compares with.

A `Baseline` holds, per condition x method: measures with their MCSE and n, statuses by replication, a digest of
all numbers, codes that tell later which replications moved (`fingerprint`), the replications themselves, rounded, to
be permuted with those of another run (`kept`), and the numbers of a few replications to read. It also holds what says
whether a comparison is fair: keys of conditions, seed, versions of methods and packages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nestbench.estimators.estimates import SUMMARY, Estimates
from nestbench.estimators.estimator import Agreement
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Results
from nestbench.experiments.toml.stored import to_stored
from nestbench.reports.accuracy import fingerprint
from nestbench.reports.accuracy.fingerprint import Codes, Scales
from nestbench.reports.accuracy.kept import Kept, kept_of
from nestbench.reports.measures.cell_rows import CellRows
from nestbench.reports.measures.performance import rows_of_cell
from nestbench.sim.cells.cell import Cell
from nestbench.sim.observed.batch import Ints

KEPT = (
    "bias",
    "empirical_se",
    "rmse",
    "model_se",
    "se_error",
    "coverage",
    "rejection",
    "interval_width",
    "usable_share",
)
"""Measures that a baseline keeps."""

PACKAGES = ("nestbench", "statsmodels", "numpy", "scipy", "numba")
"""Packages whose versions a baseline keeps."""

NO_AGREEMENT = "none"
"""Agreement class of a method with one engine, as files have it."""

KEPT_REPLICATIONS = 1000
MOST_KEPT = 4000
"""Replications of a run that are compared with a baseline on other data sets."""
SAMPLED_REPLICATIONS = 2

Value = tuple[float, float, int]
"""(value, MCSE, n) of a measure."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method as it was: its version, the engine that ran, its agreement class (or ``none``)."""

    version: int
    engine: str
    agreement: str

    @property
    def rtol(self) -> float:
        """Relative tolerance between two computations of the same data set."""
        return fingerprint.tolerance(self.agreement)

    @property
    def determined(self) -> bool:
        """Whether data and code determine the numbers up to `rtol`: on every processor, in whatever last bits.

        Not where an optimiser's path decides where it stops: statsmodels' own, and the reference engines of implicit
        methods. Methods of users' own count as determined.
        """
        return self.agreement != Agreement.UNDER_STUDY and (self.agreement, self.engine) != (
            "implicit",
            "reference",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One method in one condition.

    Attributes
    ----------
    replications : int64 [R]
        Numbers of the attempted replications, ascending.
    status : int8 [R]
        `FitStatus` of each.
    digest : str
        SHA-256 of all numbers (`fingerprint.digest_of`).
    measures : mapping
        Term -> measure -> (value, MCSE, n).
    df : mapping
        Term -> (smallest, largest) df of the usable fits; inf for a normal reference distribution.
    scales : mapping
        Term -> scales of its numbers in the codes.
    codes : mapping
        Part -> codes of the first replications, uint16.
    rows : int
        Number of first replications in `kept`.
    kept : mapping
        Term -> its first replications, rounded.
    sample : mapping
        Term -> column -> numbers of the first few replications.
    """

    replications: Ints
    status: npt.NDArray[np.int8]
    digest: str
    measures: Mapping[str, Mapping[str, Value]]
    df: Mapping[str, tuple[float, float]]
    scales: Scales
    codes: Mapping[str, Codes]
    rows: int
    kept: Mapping[str, Kept]
    sample: Mapping[str, Mapping[str, list[float]]]


@dataclass(frozen=True, slots=True, eq=False)
class CellRecord:
    """One condition: number, key, factor levels, size of its tests, true values, its methods by label, null values."""

    number: int
    key: str
    factors: Mapping[str, Any]
    alpha: float
    truth: Mapping[str, float]
    estimators: Mapping[str, Record]
    null: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """The accuracy of a run.

    Attributes
    ----------
    key : str
        The experiment's key.
    experiment : mapping
        The experiment as plain values (`experiments.plain`): a baseline can be run again without any other file.
    versions : mapping
        Package -> version, as run.
    methods : mapping
        Estimator label -> `Method`.
    cells : tuple of CellRecord
    """

    key: str
    experiment: Mapping[str, Any]
    versions: Mapping[str, str]
    methods: Mapping[str, Method]
    cells: tuple[CellRecord, ...]

    @property
    def name(self) -> str:
        """The experiment's name."""
        return str(self.experiment["name"])

    @property
    def seed(self) -> int:
        """The experiment's seed."""
        return int(self.experiment["seed"])


def most_compared(baseline: Baseline) -> int:
    """Return how many replications of a condition are compared with a baseline on other data sets, at most."""
    rows = [record.rows for cell in baseline.cells for record in cell.estimators.values()]
    return max([*rows, MOST_KEPT])


def baseline_of(
    results: Results, codes: int = KEPT_REPLICATIONS, sample: int = SAMPLED_REPLICATIONS
) -> Baseline:
    """Return the accuracy of a run.

    Parameters
    ----------
    results : Results
    codes : int
        Replications per condition and method that are kept: 6 bytes each, and about 5 for each term.
    sample : int
        Replications whose numbers are kept to be read.
    """
    experiment = results.experiment
    methods = methods_of(experiment)
    cells = []
    for number, cell in enumerate(experiment.cells):
        by_label = {label: e for label, e in results.estimates(number).items() if e.size}
        records = {
            label: record_of(
                estimates,
                cell,
                methods[label].rtol,
                fingerprint.scales_of(estimates),
                codes=codes,
                sample=sample,
            )
            for label, estimates in by_label.items()
        }
        cells.append(cell_record(experiment, number, records))
    return Baseline(
        key=experiment.key,
        experiment=to_stored(experiment),
        versions=versions_of(results),
        methods=methods,
        cells=tuple(cells),
    )


def cell_record(experiment: Experiment, number: int, records: Mapping[str, Record]) -> CellRecord:
    """Return a condition with its methods' records."""
    cell = experiment.cells[number]
    truth = {term: float(value) for term, value in cell.truth.items() if np.ndim(value) == 0}
    levels, alpha = dict(experiment.levels[number]), round(cell.model.alpha, 12)
    return CellRecord(number, cell.key, levels, alpha, truth, records, dict(cell.model.null))


def record_of(
    estimates: Estimates,
    cell: Cell,
    rtol: float,
    scales: Scales,
    codes: int,
    sample: int = 0,
    like: Record | None = None,
) -> Record:
    """Return the record of one method in one condition, its codes on the given scales.

    With `like`, a baseline's record, its replications are kept on the baseline's grids, and as many as `MOST_KEPT`.

    Parameters
    ----------
    estimates : Estimates
    cell : Cell
    rtol : float
        The method's tolerance: what moves by less keeps its codes.
    scales : mapping
    codes : int
        Replications with codes.
    sample : int
        Replications whose numbers are kept as they are.
    like : Record, optional
        A record of the same method whose grids are taken, so that both can be compared.
    """
    rows = min(estimates.size, codes if like is None else max(like.rows, MOST_KEPT))
    grids = None if like is None else {term: kept.grid for term, kept in like.kept.items()}
    return Record(
        replications=estimates.replications,
        status=estimates.status,
        digest=fingerprint.digest_of(estimates),
        measures=measures_of(estimates, cell),
        df=df_ranges(estimates),
        scales=scales,
        codes={part: c[:codes] for part, c in fingerprint.codes_of(estimates, scales, rtol).items()},
        rows=rows,
        kept=kept_of(estimates, cell, rows, grids),
        sample=_sample(estimates, sample),
    )


def measures_of(estimates: Estimates, cell: Cell) -> dict[str, dict[str, Value]]:
    """Return term -> measure -> (value, MCSE, n) of the measures a baseline keeps."""
    measures: dict[str, dict[str, Value]] = {}
    for rows in rows_of_cell(CellRows({"": estimates}, cell.truth, cell.model.level, null=cell.model.null)):
        if rows.measure in KEPT:
            columns = (rows.value.tolist(), rows.mcse.tolist(), rows.n.tolist())
            for term, value, mcse, n in zip(rows.terms, *columns, strict=True):
                measures.setdefault(term, {})[rows.measure] = (value, mcse, n)
    return measures


def df_ranges(estimates: Estimates) -> dict[str, tuple[float, float]]:
    """Return the smallest and largest df of each term's usable fits; terms without df are left out."""
    ranges = {}
    for k, term in enumerate(estimates.terms):
        df = estimates.df[estimates.usable[:, k], k]
        df = df[~np.isnan(df)]
        if len(df):
            ranges[term] = (float(df.min()), float(df.max()))
    return ranges


def methods_of(experiment: Experiment) -> dict[str, Method]:
    """Return the experiment's methods as they are now, by label."""
    return {
        e.label: Method(
            e.version,
            e.engine_name(experiment.engine),
            str(e.agreement or NO_AGREEMENT),
        )
        for e in experiment.estimators
    }


def versions_of(results: Results) -> dict[str, str]:
    """Return the versions of the packages that numbers can depend on, as the run's provenance has them."""
    packages = results.provenance.get("packages", {})
    return {name: str(packages[name]) for name in PACKAGES if packages.get(name)}


def _sample(estimates: Estimates, count: int) -> dict[str, dict[str, list[float]]]:
    """Return the first few replications' numbers as they are, for people who look into the file."""
    if not count:
        return {}
    table: dict[str, dict[str, list[float]]] = {
        term: {name: getattr(estimates, name)[:count, k].tolist() for name in SUMMARY}
        for k, term in enumerate(estimates.terms)
    }
    for name, values in estimates.quantities.items():
        table[name] = {"estimate": values[:count].tolist()}
    return table
