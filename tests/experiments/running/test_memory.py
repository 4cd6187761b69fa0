"""Memory: what a run holds doesn't grow with its replications."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import resource, sys
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.start import run_experiment

experiment = Experiment.from_dict({
    "experiment": {"name": "long", "seed": 1, "replications": int(sys.argv[1]), "estimators": ["ols", "ols-cr1s-t"]},
    "population": {"law": "random-intercept"},
    "layout": {"schools": 6, "students": 3},
    "model": {"formula": "grade ~ age + gender + resources"},
})
if __name__ == "__main__":
    run_experiment(experiment, sys.argv[2], workers=2)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    largest_worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(own // 1024, largest_worker // 1024)
"""


def peaks(replications: int, folder: Path) -> list[int]:
    """Peak resident memory in MB of the main process and of its largest worker."""
    script = folder / "long.py"
    script.write_text(CODE, encoding="utf-8")
    command = [sys.executable, str(script), str(replications), str(folder / str(replications))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()[-2:]]


@pytest.mark.slow
def test_peak_memory_is_that_of_a_short_run(tmp_path: Path) -> None:
    """180 000 more replications are 92 MB of stored numbers (2 methods x 4 terms x 8 numbers); none of it stays."""
    peaks(100, tmp_path)  # compiles what isn't
    short, long = peaks(20_000, tmp_path), peaks(200_000, tmp_path)
    assert all(after <= before + 40 for before, after in zip(short, long, strict=True)), (short, long)
