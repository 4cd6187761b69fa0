"""Which experiment is meant: one that is given, a name of the catalogue, a TOML file, or the directory of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nestbench.estimators.methods import registry
from nestbench.experiments.experiment import MOST_REPLICATIONS, Experiment
from nestbench.experiments.storing.manifest import MANIFEST, read_manifest
from nestbench.experiments.toml.reading import is_file, read_experiment
from nestbench.sim.errors import InvalidInput

if TYPE_CHECKING:
    from nestbench.experiments.storing.store import Store

Source = Experiment | str | Path


def resolve(source: Source, changes: Mapping[str, Any] | None = None, trust: bool = False) -> Experiment:
    """Return an experiment: as given, of a catalogue name, a TOML file, or a run directory; with changes made.

    Parameters
    ----------
    source : Experiment, str or Path
    changes : mapping, optional
        Keys of ``[experiment]``: replications, reference_replications, seed, engine, estimators (names or
        tables); None changes nothing.
    trust : bool
        Let plugins of a run directory run that this user never named: a run that was sent by mail brings code.

    Raises
    ------
    InvalidInput
        No such experiment, a change that it can't take, no method or the same method twice, an engine that a method
        lacks; results read from a table, of which nothing can be drawn.
    """
    asked = {key: value for key, value in (changes or {}).items() if value is not None}
    source = run_of_copy(source)
    # A run brings its code along: whether that may run is asked before anything of it is read as an
    # experiment.
    if is_run(source):
        from nestbench.experiments.running.trusting import open_with_code

        source = _of_run(open_with_code(str(source), trust))
    if not isinstance(source, Experiment):
        return read_experiment(source, asked)
    source.require_drawn()
    if "estimators" in asked:
        asked["estimators"] = tuple(registry.get(choice) for choice in asked["estimators"])
        labels = [estimator.label for estimator in asked["estimators"]]
        again = next((label for label in labels if labels.count(label) > 1), None)
        if again is not None or not labels:
            got = f"'{again}' {labels.count(again)} times" if again else "none"
            raise InvalidInput(f"expected each method once, got {got}; name each method once")
    if not 1 <= asked.get("replications", 1) <= MOST_REPLICATIONS:
        raise InvalidInput(
            f"expected replications >= 1 and at most {MOST_REPLICATIONS}, got {asked['replications']}"
        )
    changed = replace(source, **asked)
    for estimator in changed.estimators:
        estimator.engine(changed.engine)
    return changed


def run_of_copy(source: Source) -> Source:
    """Return the run directory for the copy of its TOML in it, if nobody changed that; anything else as it is.

    The copy alone is another experiment: it lacks what was set on the command line, and the files it names are
    relative to where it came from.
    """
    if isinstance(source, Experiment) or Path(source).name != "experiment.toml" or not is_file(Path(source)):
        return source
    if not is_run(Path(source).parent):
        return source
    kept = (read_manifest(Path(source).parent) or {}).get("experiment", {}).get("source")
    return Path(source).parent if kept == Path(source).read_text("utf-8", "replace") else source


def _of_run(store: Store) -> Experiment:
    """Return the experiment of a run; with a wanted precision as it started, not as far as its conditions came."""
    experiment = store.experiment
    return (
        replace(experiment, replications=min(store.rounds[0].replications))
        if experiment.precision
        else experiment
    )


def is_run(source: Source) -> bool:
    """Whether a source is the directory of a run."""
    return isinstance(source, (str, Path)) and is_file(Path(source) / MANIFEST)
