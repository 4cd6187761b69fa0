"""What is compiled before an answer's clock runs: all that it needs, in processes side by side, on a few schools."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nestbench.advising import warming as module
from nestbench.advising.warming import SCHOOLS, stand_in, warm_up
from nestbench.estimators.methods import registry
from nestbench.experiments.experiment import Experiment
from nestbench.own_data.bar import silent
from nestbench.sim.observed.model import Model


@pytest.mark.parametrize(
    ("random", "subgroup", "kept"),
    [("1", "room", ["reml-kr", "nested-satt", "ols"]), ("1 + motivation", "room", ["reml-kr", "ols"])],
)
def test_the_stand_in_has_the_parts_that_kernels_are_compiled_for(
    random: str, subgroup: str | None, kept: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And methods that can't honour the model aren't compiled for it."""
    seen: list[Experiment] = []
    monkeypatch.setattr(module.warming, "needed", lambda experiment: True)
    monkeypatch.setattr(module, "compile_all", lambda experiment, *_: seen.append(experiment))
    monkeypatch.setattr(module.warming, "load_kernels", seen.append)
    analysis = stand_in(Model("y ~ motivation", random=random, subgroup=subgroup))
    methods = [registry.get(name) for name in ("reml-kr", "nested-satt", "ols")]
    warm_up(analysis, methods, 1, silent)
    assert [[e.name for e in experiment.estimators] for experiment in seen] == [kept, kept]
    assert [experiment.cells[0].strata() for experiment in seen] == [SCHOOLS, 0]


LOADED = """
import gc, sys
from nestbench.advising import asking
from nestbench.advising.analysis import analysis_of
from nestbench.advising.simulating import Part, _perform, tasks_of
from nestbench.experiments.running.work import Work
from nestbench.sim.compiled import Kernel
from tests.advising.test_advice import FORMULA, data
from nestbench.sim.observed.model import Model

def signatures():
    return {(k.__qualname__, str(s)) for k in gc.get_objects() if isinstance(k, Kernel) and "compiled" in vars(k)
            for s in k.compiled.signatures}

def here(experiment, cells, term, planted, limits, workers, step):
    before = signatures()
    for task in tasks_of(experiment, cells, limits):
        _perform(Part(Work.of(experiment, task), term, planted))
    print(sorted(signatures() - before))
    sys.exit()

asking.simulate = here
asking.advice_of(analysis_of(data(), Model(FORMULA)), "treated", asking.Settings(replications=2, workers=1))
"""


@pytest.mark.slow
def test_all_that_the_simulation_calls_is_loaded_before_its_forks() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=False)
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stdout + done.stderr
