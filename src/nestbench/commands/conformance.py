"""``nestbench test``: does a method keep the contract every method here keeps?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nestbench.commands import completing
from nestbench.commands.output import say

EXAMPLES = (
    "nestbench test my_methods.py",
    "nestbench test ols-cr1s-t --skip coverage",
    "nestbench test my_methods.py --reference ols-cr1s-t",
)


def conform(
    methods: Annotated[
        list[str],
        typer.Argument(
            help="Python files with methods of your own (@nestbench.estimator), or names of methods.",
            autocompletion=completing.method,
        ),
    ],
    skip: Annotated[
        list[str] | None,
        typer.Option(
            help="A check that doesn't apply (schema, determinism, alone, data, students, labels, schools, scale, "
            "hopeless, inestimable, consistency, reference, coverage, size); may be given several times."
        ),
    ] = None,
    replications: Annotated[
        int | None,
        typer.Option(
            min=20, help="Data sets for the checks of coverage and size (default: what their power needs)."
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="A method that these equal, e.g. ols-cr1s-t: standard errors, df and p are compared on the same data.",
            autocompletion=completing.method,
        ),
    ] = None,
    formula: Annotated[
        str | None,
        typer.Option(help="Formula the methods are made for (default: grade ~ age + gender + treated)."),
    ] = None,
    random: Annotated[
        str, typer.Option(help="Random part of the model the methods are made for, e.g. '1 + age'.")
    ] = "1",
) -> None:
    """Run the conformance suite on methods; exit code 1 if one breaks the contract.

    A few data sets show whether a method is deterministic, indifferent to what doesn't matter, and consistent:
    p-values and intervals must follow from the estimate, standard error and df. Simulation shows whether intervals
    cover and tests keep their size. None of this sees standard errors 4 % off or df wrong by one: for these name a
    --reference, or use assert_se_calibrated(detect=0.04) and assert_df of the pytest fixture
    (docs/accuracy-testing.md).
    """
    from dataclasses import replace

    from nestbench.sim.observed.model import Model
    from nestbench.testing.given import friendly_cell
    from nestbench.testing.suite import conformance, listed

    cell = friendly_cell()
    cell = replace(cell, model=Model(formula or cell.model.formula, random=random))
    broken = []
    for name in [method_name for method in methods for method_name in _names(method)]:
        checks = conformance(
            name, on=cell, skip=tuple(skip or ()), replications=replications, reference=reference
        )
        failed = sum(check.outcome == "fail" for check in checks)
        passed = sum(check.outcome == "pass" for check in checks)
        say(f"{name}: {passed} passed, {failed} failed, {len(checks) - passed - failed} skipped")
        say(listed(checks))
        if failed:
            broken.append(name)
    if broken:
        say(f"break the contract: {', '.join(broken)}")
        raise typer.Exit(1)


def _names(method: str) -> list[str]:
    """Return the methods a file defines, or the name itself."""
    from nestbench.estimators.methods import registry
    from nestbench.experiments.plugins import load_file

    return load_file(Path(method)) if Path(method).suffix == ".py" else [registry.get(method).name]
