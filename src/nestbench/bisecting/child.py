"""The process of one version: runs the study with the package that its environment has.

Started as ``python -m nestbench.bisecting.child JOB`` by `trying`; its exit code is that of `nestbench run`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any


def main(job: str) -> int:
    """Run the study that a job file names; return the exit code."""
    from nestbench.sim.errors import NestbenchError

    try:
        run(json.loads(Path(job).read_text(encoding="utf-8")))
    except NestbenchError as error:
        print(str(error).replace("\n", " "), file=sys.stderr)
        return error.exit_code
    return 0


def run(job: dict[str, Any]) -> None:
    """Run a study, or go on with it.

    Parameters
    ----------
    job : dict
        ``source, changes, methods, out, workers, trust``; `methods` are labels of the study's own (none: all).
    """
    from nestbench.experiments.running.progress import Quiet
    from nestbench.experiments.running.resolving import resolve
    from nestbench.experiments.running.start import run_experiment
    from nestbench.sim.errors import unknown_name

    experiment = resolve(job["source"], job["changes"], job["trust"])
    by_label = {one.label: one for one in experiment.estimators}
    for label in job["methods"]:
        if label not in by_label:
            raise unknown_name("method of the study", label, by_label)
    chosen = tuple(by_label[label] for label in job["methods"]) or experiment.estimators
    # Audits compare engines, which is another question and takes time.
    run_experiment(replace(experiment, estimators=chosen, audit=0), Path(job["out"]), job["workers"], Quiet())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
