"""Runs from Python: `run`, `load`, `read_results`, `simulate`, and the `Run` they return.

(The module isn't called ``run``: importing it would then hide the function of that name in the package.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.experiments.experiment import Experiment
    from nestbench.experiments.running.replaying import Replay
    from nestbench.experiments.storing.store import Store
    from nestbench.sim.cells.cell import Cell


class Run:
    """A run, finished or not: the experiment and what is stored of it.

    Attributes
    ----------
    store : Store
        What is stored: ``estimates(cell)`` by method, ``timings(cell)``, ``audits()``, ``provenance``, ``missing()``.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def directory(self) -> Path:
        """Where the run is stored."""
        return self.store.folder

    @property
    def experiment(self) -> Experiment:
        """The experiment as run."""
        return self.store.experiment

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The conditions: each has its ``truth``, and draws its data sets with ``draw(seed, replications)``."""
        return self.experiment.cells

    @property
    def finished(self) -> bool:
        """Whether nothing is missing."""
        return not self.store.missing()

    def performance(self) -> pd.DataFrame:
        """Return the performance table: ``cell``, one column per factor, ``estimator, term, measure, value, mcse,
        n, n_attempted``."""
        from nestbench.reports.measures.performance import performance_table

        return performance_table(self.store)

    def estimates(self) -> pd.DataFrame:
        """Return every stored row: ``cell``, one column per factor, ``estimator, term, replication, estimate,
        std_error, df, lower, upper, p_value, status`` (by name), ``message``."""
        from nestbench.experiments.storing.rows import all_rows

        return all_rows(self.store)

    def figure(
        self,
        kind: str = "coverage",
        *,
        term: str | None = None,
        cell: int | None = None,
        methods: Sequence[str] = (),
        measure: str | None = None,
    ) -> Any:
        """Return a figure as an Altair chart, which a notebook shows; see `figure`."""
        return figure(self, kind, term=term, cell=cell, methods=methods, measure=measure)

    def report(self, path: str | Path) -> Path:
        """Write the report, one HTML file that needs no network, and return its path."""
        from nestbench.reports.page.report import write_report

        write_report(self.store, Path(path))
        return Path(path)

    def replay(
        self, cell: int, replication: int, estimator: str | None = None, trust: bool = False
    ) -> list[Replay]:
        """Draw one data set again and fit it again; each `Replay` says whether the stored numbers are the same.

        `trust` lets plugins of the run directory run that this user never named.
        """
        from nestbench.experiments.running.replaying import replay
        from nestbench.experiments.running.trusting import open_with_code

        return replay(open_with_code(self.directory, trust), cell, replication, estimator)

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r})"

    def _repr_html_(self) -> str:
        return run_html(self.store)


def run(
    experiment: Experiment | str | Path,
    out: str | Path | None = None,
    workers: int | None = None,
    replications: int | None = None,
    seed: int | None = None,
    engine: str | None = None,
    estimators: Sequence[str | Mapping[str, Any]] | None = None,
    progress: bool = False,
) -> Run:
    """Run an experiment, or what is missing of it, and return it.

    Parameters
    ----------
    experiment : Experiment, str or Path
        An experiment, a name of the catalogue, a TOML file, or a run directory to resume.
    out : str or Path
        Directory of the run (default: ``runs/NAME``). A run of the same experiment found there is gone on with;
        of another one it is refused.
    workers : int
        Processes (default: one per core). The results are the same for any number.
    replications, seed, engine, estimators
        Instead of the experiment's own.
    progress : bool
        Show progress on stderr.

    Raises
    ------
    InvalidInput
        Something in the experiment can't be used.
    StoreError
        The directory can't be used.
    Interrupted
        Ctrl-C; what is finished is kept, the same call goes on.
    """
    from nestbench.experiments.running.progress import Quiet, automatic
    from nestbench.experiments.running.start import run_experiment
    from nestbench.reports.measures.measured_errors import MeasuredErrors

    changes = {"replications": replications, "seed": seed, "engine": engine, "estimators": estimators}
    shown = automatic() if progress else Quiet()
    return Run(run_experiment(experiment, out, workers, shown, changes, judge=MeasuredErrors()))


def load(directory: str | Path) -> Run:
    """Return the run in a directory."""
    from nestbench.experiments.storing.store import Store

    return Run(Store.open(directory))


def read_results(
    data: pd.DataFrame | str | Path,
    out: str | Path | None = None,
    *,
    factors: Sequence[str] | str | None = None,
    ignore: Sequence[str] | str = (),
    methods: Sequence[str] | str = (),
    terms: Sequence[str] | str = (),
    usable: Sequence[str] | str = (),
    level: float = 0.95,
    seed: int | None = None,
    null: Any = None,
    name: str = "",
    **columns: Any,
) -> Run:
    """Return the results of any simulation study as a run, which every report can read.

    Parameters
    ----------
    data : DataFrame, str or Path
        One row a replication and method (and term), or methods side by side; a file as ``nestbench read`` takes it.
    out : str or Path
        Directory of the run (default: ``runs/NAME``).
    factors, ignore : sequence of str
        The factors (default: found among the columns without a role), and columns that are nothing.
    methods, terms : sequence of str
        What ``{method}`` and ``{term}`` stand for in patterns such as ``estimate="est_{method}"``.
    usable : sequence of str
        Values of the status that mean a usable fit.
    level : float
        Confidence level of the intervals.
    seed : int
        Of the data sets: results of one seed are compared replication by replication.
    null : float or mapping
        The value that tests are of, or term -> value (default: 0).
    name : str
        Of the run (default: the file's).
    **columns
        Role -> column: ``estimate, se, variance, lower, upper, df, p, truth, method, term, replication, status,
        message``; those that aren't named are known by usual names. ``truth`` may be a number, or term -> number.

    Raises
    ------
    InvalidInput
        The table can't be read, a column isn't there or holds what it can't, rows contradict one another.
    StoreError
        The directory holds another run, or can't be written.
    """
    from nestbench.own_results.asked import Asked
    from nestbench.own_results.keeping import kept
    from nestbench.own_results.reading import results_of

    asked = Asked.of(columns, factors, ignore, methods, terms, usable, level=level, seed=seed, null=null)
    return Run(kept(results_of(data, asked, name), out))


def simulate(
    experiment: Experiment | str | Path, cell: int = 0, replication: int = 0, seed: int | None = None
) -> pd.DataFrame:
    """Return one data set of an experiment, as an analyst would hold it; the same that a run fits."""
    from nestbench.experiments.running.resolving import resolve

    return resolve(experiment, {"seed": seed}).data_set(cell, replication).frame()


def figure(
    run: Run | str | Path,
    kind: str = "coverage",
    *,
    term: str | None = None,
    cell: int | None = None,
    methods: Sequence[str] = (),
    measure: str | None = None,
) -> Any:
    """Return a figure of a run as an Altair chart: a notebook shows it, ``.save(path)`` keeps it.

    Parameters
    ----------
    run : Run, str or Path
        A run, or its directory.
    kind : str
        A kind that ``nestbench plot --help`` lists: ``coverage``, ``bias``, ``zip``, ``power``, ...
    term : str
        The term shown (default: the one with the lowest coverage).
    cell : int
        The condition's number.
    methods : sequence of str
        Labels of the methods shown (default: all).
    measure : str
        The measure shown, where a kind can show several.

    Raises
    ------
    InvalidInput
        A kind, term, condition, method or measure that there isn't, or that the kind has no use for.
    """
    from nestbench.reports.figures.kinds import Wish
    from nestbench.reports.figures.kinds import figure as drawn

    store = (run if isinstance(run, Run) else load(run)).store
    return drawn(store, kind, Wish(term, cell, tuple(methods), measure))


SHOWN = 12
"""Conditions of a run that are listed in a notebook; the rest is counted."""


def run_html(store: Store) -> str:
    """Return a run: its title, how far it is, its conditions with their data sets; nothing is computed from rows."""
    from nestbench.reports import notebook
    from nestbench.reports.conditions import conditions
    from nestbench.reports.words.missing import data_sets, missing_sentence
    from nestbench.sim.counted import plural

    experiment, fitted = store.experiment, store.extent().fitted
    size = [plural(len(experiment.cells), "condition"), plural(len(experiment.estimators), "method")]
    rows = [
        [str(cell), name, f"{max(fitted[cell].values(), default=0):,}"]
        for cell, name in enumerate(conditions(experiment)[:SHOWN])
    ]
    more = len(experiment.cells) - SHOWN
    return notebook.block(
        notebook.titled(experiment.title or experiment.name, str(store.folder)),
        notebook.line(", ".join([*size, data_sets(store)])),
        notebook.line(missing_sentence(store)),
        notebook.line("Methods: " + ", ".join(estimator.label for estimator in experiment.estimators)),
        notebook.table(["cell", "condition", "data sets"], rows, texts=2),
        notebook.line(f"and {plural(more, 'further condition')}" if more > 0 else ""),
    )
