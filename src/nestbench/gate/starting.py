"""``nestbench ci init``: writes what isn't there of a gate, and its first baseline, by running it once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from nestbench.experiments.files import write_atomically
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.store import Store
from nestbench.gate.files import (
    BASELINE,
    METHODS,
    STUDY,
    UNKNOWN,
    WORKFLOW,
    methods_of,
    methods_text,
    study_text,
    workflow_text,
)
from nestbench.gate.methods import find_package
from nestbench.gate.repository import Repository
from nestbench.reports.accuracy.baseline import Baseline, baseline_of
from nestbench.reports.accuracy.baseline_file import write_baseline
from nestbench.reports.comparing.holm import t_quantile
from nestbench.sim.counted import plural
from nestbench.sim.errors import NestbenchError

SECONDS = 60.0
"""Seconds that the fits of one check may take in one process: the gate is to answer in a minute or two."""
SIZES = (1000, 500, 200)
"""Replications to choose from; a baseline keeps 1000, and of 200 in the one condition where single fits are held
one fit in a hundred is seen to fail with probability .87."""
FALSE_ALARM = 1e-7
"""Of one term: a gate has about ten ways, two conditions and three terms."""
USUAL = 200
TRIAL = 8
"""Replications of the trial by which they are chosen."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A few fits of each method.

    Attributes
    ----------
    seconds : float
        Of one replication of all conditions and methods.
    failed : mapping of str to str
        Method without an answer -> what its fits said.
    """

    seconds: float
    failed: Mapping[str, str]

    @property
    def replications(self) -> int:
        """How many replications a check takes: as many as the time allows."""
        return next((n for n in SIZES if n * self.seconds <= SECONDS), SIZES[-1])


def texts_of(
    repository: Repository, action: str, methods: dict[str, str], replications: int
) -> dict[Path, str]:
    """Return the gate's files, by their place in the repository."""
    return {
        WORKFLOW: workflow_text(repository, action),
        STUDY: study_text(repository, methods, replications),
        METHODS: methods_text(repository, methods),
    }


def begin(repository: Repository, action: str) -> Iterator[str]:
    """Write the files that aren't there, then the baseline; yield what was done, in sentences.

    Parameters
    ----------
    repository : Repository
    action : str
        As the workflow names it.

    Raises
    ------
    StoreError
        A file can't be written.
    """
    root, methods, replications = repository.root, methods_of(repository), USUAL
    if not there(root / STUDY) and not there(root / METHODS):
        tried = trial(texts_of(repository, action, methods, USUAL))
        if isinstance(tried, Trial) and len(tried.failed) < len(methods):
            methods = {name: way for name, way in methods.items() if name not in tried.failed}
            replications = tried.replications
            yield from (f"left out: {name} ({why})" for name, why in tried.failed.items())
    written = []
    for place, text in texts_of(repository, action, methods, replications).items():
        if there(root / place):
            yield f"there already, left as it is: {root / place}"
            continue
        write_atomically(root / place, text.encode())
        written.append(place)
        yield f"wrote {root / place} ({plural(text.count(chr(10)), 'line')})"
    if WORKFLOW in written and action.startswith(f"{UNKNOWN}/"):
        yield f"note: this nestbench has no public address; say in {root / WORKFLOW} whose {action} it is (--action)"
    if there(root / BASELINE):
        yield f"there already, left as it is: {root / BASELINE}"
        return
    yield from first_baseline(repository)


def there(file: Path) -> bool:
    """Whether there is anything of a name: a link that leads nowhere, too, would be written over."""
    return os.path.lexists(file)


def first_baseline(repository: Repository) -> Iterator[str]:
    """Run the study and keep its accuracy; where no method gives an answer, say what to do."""
    root = repository.root
    again = "then type nestbench ci init again: it makes what is missing"
    version = version_of(repository)
    if version is None:
        yield f"no baseline yet: {repository.package} isn't installed here; install it (pip install .), {again}"
        return
    with tempfile.TemporaryDirectory() as place:
        try:
            store = run_experiment(root / STUDY, Path(place) / "run", changes={"audit": 0})
        except NestbenchError as error:
            yield f"no baseline yet: {error}; mend {root / METHODS}, {again}"
            return
        failed = failures(store)
        if len(failed) == len(store.experiment.estimators):
            why = next(iter(failed.values()))
            yield f"no baseline yet, since no fit gave an answer ({why}); {needed(repository)}, {again}"
            return
        yield from (f"note: {name} gave no answer ({why})" for name, why in failed.items())
        baseline = baseline_of(store)
        yield from biased(baseline)
        write_baseline(baseline, root / BASELINE)
    kilobytes, sized = (
        (root / BASELINE).stat().st_size / 1000,
        plural(store.experiment.replications, "replication"),
    )
    yield f"wrote {root / BASELINE} ({kilobytes:.0f} kB): {repository.package} {version}, {sized} a condition"
    yield f"try it: nestbench check {root / STUDY} --baseline {root / BASELINE}; then commit the files"


def needed(repository: Repository) -> str:
    """Return what makes fits possible where there are none: a stub wants code, a package of the league has its own."""
    if find_package(repository.package) is None:
        return f"fill in {repository.root / METHODS}"
    return f"install a {repository.package} that fits here (pip install .)"


def biased(baseline: Baseline) -> Iterator[str]:
    """Say which estimates of effects are biased now: a baseline only says that numbers are what they were."""
    for cell in baseline.cells:
        for label, record in cell.estimators.items():
            values = [(t, m["bias"]) for t, m in record.measures.items() if t[:1] != "(" and "bias" in m]
            wrong = [
                f"{term} by {value:.3g} (MCSE {mcse:.2g}, n {n})"
                for term, (value, mcse, n) in values
                if n > 1 and abs(value) > t_quantile(n, 1.0 - FALSE_ALARM) * mcse
            ]
            if wrong:
                where = ", ".join(f"{name} {level}" for name, level in cell.factors.items())
                yield f"note: {label} is biased now, {where}: {', '.join(wrong)}; the baseline keeps it as it is"


def version_of(repository: Repository) -> str | None:
    """Return the package's version as installed here; None where it isn't."""
    try:
        return metadata.version(repository.package)
    except metadata.PackageNotFoundError:
        return None


def trial(texts: Mapping[Path, str]) -> Trial | NestbenchError:
    """Run a study of few replications elsewhere; its files may not be wanted as they are."""
    with tempfile.TemporaryDirectory() as place:
        for name in (STUDY, METHODS):
            write_atomically(Path(place) / name, texts[name].encode())
        try:
            asked = {"replications": TRIAL, "audit": 0}
            store = run_experiment(Path(place) / STUDY, Path(place) / "run", 1, changes=asked)
        except NestbenchError as error:
            return error
        return Trial(_seconds(store), failures(store))


def failures(store: Store) -> dict[str, str]:
    """Return the methods of a run without a usable fit, each with what its first fit said."""
    failed = {}
    for label in (one.label for one in store.experiment.estimators):
        fits = [store.estimates(cell)[label] for cell in range(len(store.experiment.cells))]
        if not any(one.usable.any() for one in fits):
            failed[label] = next(iter(fits[0].texts()), "") or "no usable fit"
    return failed


def _seconds(store: Store) -> float:
    """Return the seconds of one replication, each fit by its fastest: the first loads code, and others may be running.

    As the fits were timed where they were made: processes of their own have the processor time.
    """
    tables = (store.timings(cell) for cell in range(len(store.experiment.cells)))
    return float(sum(t.groupby(t["estimator"].astype(str))["seconds"].min().sum() for t in tables))
