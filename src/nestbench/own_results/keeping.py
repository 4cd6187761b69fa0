"""Results kept as a run directory, which every command that reads runs can read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.experiments.plan import Task
from nestbench.experiments.storing.encoding import encode_estimates
from nestbench.experiments.storing.manifest import read_manifest
from nestbench.experiments.storing.outcome import File, Outcome
from nestbench.experiments.storing.provenance import provenance
from nestbench.experiments.storing.store import Store
from nestbench.own_results.reading import Results
from nestbench.sim.errors import StoreError


def kept(results: Results, out: str | Path | None) -> Store:
    """Return the run of some results, written into a directory, or there already.

    Parameters
    ----------
    results : Results
    out : str, Path or None
        The directory; by default ``runs/NAME``, or ``runs/NAME-MARK`` where that holds something else.

    Raises
    ------
    StoreError
        The directory named holds another run, or can't be written.
    """
    folder = _folder(results, out)
    manifest = read_manifest(folder)
    if manifest is not None and not _same(manifest, results):
        raise StoreError(
            f"expected '{folder}' to be empty or new, got a run of other results; choose another directory with "
            "-o DIR (out=...)"
        )
    started = {**provenance(1), "read": results.experiment.brought, "sha256": results.mark}
    store = Store.create(folder, results.experiment, started, results.experiment.replications)
    try:
        for task in store.missing():
            store.add(_outcome(task, results))
    finally:
        store.release()
    return store


def _folder(results: Results, out: str | Path | None) -> Path:
    """Return where the run goes."""
    if out is not None:
        return Path(out)
    usual = Path("runs") / results.experiment.name
    manifest = read_manifest(usual)
    free = manifest is None or _same(manifest, results)
    return usual if free else usual.with_name(f"{usual.name}-{_known_by(results)[:8]}")


def _known_by(results: Results) -> str:
    """Return what tells results with the same numbers and others apart: their level and seed are in the key."""
    return f"{results.experiment.key[:4]}{results.mark[:4]}"


def _same(manifest: Mapping[str, Any], results: Results) -> bool:
    """Whether a manifest is that of these results, whatever was said of them."""
    told = manifest.get("provenance", {})
    same_numbers = isinstance(told, Mapping) and told.get("sha256") == results.mark
    return same_numbers and manifest.get("key") == results.experiment.key


def _outcome(task: Task, results: Results) -> Outcome:
    """Return what a task has of the results, as the store takes it."""
    methods = [results.experiment.estimators[i].label for i in task.estimators]
    span = slice(task.start, task.stop)
    fits: dict[str, Estimates] = {label: results.fits[task.cell][label].take(span) for label in methods}
    unusable = sum(int(np.count_nonzero(e.status > FitStatus.BOUNDARY)) for e in fits.values())
    return Outcome(task, (File.of(f"{task.key}.parquet", encode_estimates(fits)),), task.fits, unusable, 0.0)
