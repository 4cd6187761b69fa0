"""What a long run and what is done with it hold in memory, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import resource, sys
from pathlib import Path
from joblib.externals.loky import get_reusable_executor
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.toml.reading import experiment_from
from nestbench.reports.page.survey import see_cell

experiment = experiment_from({
    "experiment": {"name": "long", "seed": 1, "replications": int(sys.argv[1]), "estimators": ["ols", "ols-cr1s-t"]},
    "population": {"law": "random-intercept"},
    "layout": {"schools": 6, "students": 3},
    "model": {"formula": "grade ~ age + gender + resources"},
})

def own_peak():
    # On Linux getrusage's peak survives exec: that of a large parent, such as pytest, would be taken for ours.
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

if __name__ == "__main__":
    store = run_experiment(experiment, sys.argv[2], workers=2)
    if sys.argv[3] == "seen":
        see_cell(store, 0, "ols")
    get_reusable_executor().shutdown(wait=True)  # a child counts when it has ended
    print(own_peak() // 1024)
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


def peaks(replications: int, folder: Path, seen: bool = False) -> tuple[int, int]:
    """Peak resident memory in MB of the main process, which may also look at the run, and of its largest worker."""
    script = folder / "long.py"
    script.write_text(CODE, encoding="utf-8")
    command = [
        sys.executable,
        str(script),
        str(replications),
        str(folder / str(replications)),
        "seen" if seen else "run",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    own, worker = done.stdout.split()[-2:]
    return int(own), int(worker)
