"""How far a run has come, counted from its journal, is what its stored rows are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Results
from nestbench.experiments.running.in_memory import InMemory
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.store import Store
from nestbench.experiments.toml.reading import experiment_from


def stored(results: Results) -> list[dict[str, int]]:
    """Data sets of each cell by method, by reading them."""
    counts = []
    for cell in range(len(results.experiment.cells)):
        found = results.estimates(cell)
        labels = [e.label for e in results.experiment.estimators]
        counts.append({label: found[label].size if label in found else 0 for label in labels})
    return counts


def test_a_run_that_was_stopped(tables: dict[str, Any], tmp_path: Path) -> None:
    tables["experiment"] |= {"reference_replications": 5, "audit": 2}
    whole = run_experiment(experiment_from(tables), tmp_path / "run", workers=1, block=5)
    journal = whole.folder / "journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    for kept in (0, 1, 5, 7, len(lines)):
        journal.write_bytes(b"".join(lines[:kept]))
        cut = Store.open(whole.folder)
        assert list(cut.extent().fitted) == stored(cut)
        assert cut.extent().asked == whole.extent().asked == whole.extent().fitted
        assert cut.extent().part is None


def test_a_part_is_held_against_the_whole_study(tiny: Experiment, tmp_path: Path) -> None:
    part = run_experiment(tiny, tmp_path / "part", workers=1, block=5, shard="2/3").extent()
    assert part.part == (2, 3)
    assert part.asked == ({"ols": 12, "ols-cr1s-t": 12, "means": 12},) * 4
    fitted = [sum(cell.values()) for cell in part.fitted]
    assert 0 < sum(fitted) < 4 * 36
    assert list(part.fitted) == stored(Store.open(tmp_path / "part"))


def test_results_in_memory_are_whole(tiny: Experiment) -> None:
    results = InMemory(tiny)
    assert list(results.extent().fitted) == stored(results)
    assert results.extent().asked == results.extent().fitted
