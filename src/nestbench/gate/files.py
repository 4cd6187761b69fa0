"""The files of a gate: a workflow, a study, a plugin that calls the package; at most 30 lines to read together.

They lie in ``.github``: a new folder at the root would be taken for a package by setuptools' discovery, a module among
the tests be collected by pytest's ``--doctest-modules``, and a folder called ``nestbench`` would hide the installed
package from ``python -m pytest``.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from nestbench import __version__
from nestbench.gate.methods import find_package, gated, method_name
from nestbench.gate.repository import WORKFLOWS, Repository
from nestbench.sim.errors import InvalidInput

WORKFLOW = WORKFLOWS / "nestbench.yml"
FOLDER = Path(".github/nestbench")
STUDY, METHODS, BASELINE = FOLDER / "study.toml", FOLDER / "methods.py", FOLDER / "accuracy.json"
USUAL_PYTHON = "3.12"
"""What the action takes where the workflow says nothing."""
UNKNOWN = "OWNER"
"""Stands in a workflow for who offers the action, while nestbench has no public address."""

WORKFLOW_TEXT = """\
name: accuracy
on:
  pull_request:
  push: {{ branches: ["{branch}"] }}
  schedule: [{{ cron: "17 4 * * 1" }}] # weekly: other data sets, for half an hour
permissions: {{ contents: read, pull-requests: write }}
jobs:
  accuracy:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v5
        with: {{ persist-credentials: false }}
      - uses: {action}{python}
"""
STUDY_TEXT = """\
model = {{ formula = "grade ~ age + resources" }}
factors = {{ "population.icc" = [{levels}] }}
[experiment]
name = "{name}-accuracy"
replications = {replications}
engine = "reference"
plugins = ["methods.py"]
estimators = [{methods}]
"""
AT_ZERO, AWAY = "0.0, 0.5", "0.5, 0.8"
"""ICCs. Near a variance of 0 the last bits, which differ between processors, decide fits of mixed models: at 0 itself a
check tests measures, if the method says what it estimates the variance as. Whether one will that is a stub isn't known.
"""
LEAGUE_TEXT = '''\
"""What the gate runs of {package}, called as nestbench/league/packages/{file}.py calls it."""

from nestbench.gate.methods import add_ways

add_ways("{package}", {ways})
'''
STUB_TEXT = '''\
"""How the gate calls {package}: a data set and a model in, a row a term out."""
import nestbench
import {module}

@nestbench.estimator("{method}")
def fit(frame, model):  # model.formula: "grade ~ age + resources", model.group: "school"
    raise NotImplementedError("call {module} here, as the next line has it")
    return {{"age": {{"estimate": 0.0, "std_error": 0.0, "df": 0.0, "p_value": 0.0}}}}
'''


def usual_action() -> str:
    """Return the action as a workflow names it: ``owner/repository@v1.2.0``, by this package's public address."""
    for line in metadata.metadata("nestbench").get_all("Project-URL") or []:
        found = re.fullmatch(r"Source,\s*https://github\.com/([\w.-]+/[\w.-]+?)(\.git)?/?", line)
        if found:
            return f"{found[1]}@v{__version__}"
    return f"{UNKNOWN}/nestbench@v{__version__}"


def require_action(action: str) -> str:
    """Return what a workflow may use as an action; `InvalidInput` for anything else."""
    if re.fullmatch(r"[\w.-]+/[\w.-]+(/[\w./-]+)?@[\w./-]+|\./[\w./-]*", action) is None:
        raise InvalidInput(
            f"expected an action as OWNER/REPOSITORY@VERSION, got '{action}'; e.g. {usual_action()}"
        )
    return action


def methods_of(repository: Repository) -> dict[str, str]:
    """Return the methods of a gate: name -> way of the league, empty where the plugin is a stub to be filled in."""
    package = find_package(repository.package)
    if package is None:
        return {_name(repository.package): ""}
    return {method_name(package, way): way.name for way in gated(package)}


def workflow_text(repository: Repository, action: str) -> str:
    """Return the workflow."""
    usual = repository.python == USUAL_PYTHON
    python = "" if usual else f'\n        with: {{ python-version: "{repository.python}" }}'
    return WORKFLOW_TEXT.format(branch=repository.branch, action=action, python=python)


def study_text(repository: Repository, methods: dict[str, str], replications: int) -> str:
    """Return the study."""
    listed = ", ".join(f'"{name}"' for name in methods)
    levels = AWAY if find_package(repository.package) is None else AT_ZERO
    name = _name(repository.package)
    return STUDY_TEXT.format(name=name, levels=levels, replications=replications, methods=listed)


def methods_text(repository: Repository, methods: dict[str, str]) -> str:
    """Return the plugin: ways of the league, or a stub."""
    package = find_package(repository.package)
    if package is None:
        (method,) = methods
        return STUB_TEXT.format(package=repository.package, module=repository.module, method=method)
    ways = ", ".join(f'"{way}"' for way in methods.values())
    return LEAGUE_TEXT.format(package=package.distribution, file=package.name.replace("-", "_"), ways=ways)


def _name(package: str) -> str:
    """Return a package's name as one of methods and experiments, which may have fewer characters."""
    return re.sub(r"[^a-z0-9]+", "-", package.lower()).strip("-")[:60]
