"""`nestbench.testing`: does a method keep the contract every method here keeps?

``check_estimator(method)`` runs the conformance suite: shapes and schema, the same answer twice and in any batch,
no change of the data, indifference to the order of students and to the names of schools, equivariance under change
of units, failures as statuses rather than exceptions, df that p-values and intervals follow from, equality with a
declared reference, and coverage and size where every sensible method keeps them. ``nestbench test my_methods.py`` does
it for a file.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from nestbench.sim.cells.cell import Cell
from nestbench.sim.errors import unknown_name
from nestbench.testing.conformance_checks import CHECKS
from nestbench.testing.contract import Case, Skipped, case_of
from nestbench.testing.given import Method

__all__ = ["Check", "NonConforming", "check_estimator", "conformance"]


@dataclass(frozen=True, slots=True)
class Check:
    """One part of the contract and what came of it: ``pass``, ``fail`` or ``skip``, with the reason in words."""

    name: str
    claim: str
    outcome: str
    reason: str = ""


class NonConforming(AssertionError):
    """A method that breaks the contract; `checks` has every part of it."""

    def __init__(self, name: str, checks: Sequence[Check]) -> None:
        self.checks = tuple(checks)
        super().__init__(f"{name} breaks the contract of methods:\n{listed(checks)}")


def check_estimator(
    method: Method,
    *,
    on: Cell | None = None,
    skip: Sequence[str] = (),
    replications: int | None = None,
    reference: Method | None = None,
) -> list[Check]:
    """Run the conformance suite on a method.

    Parameters
    ----------
    method : str, mapping, Estimator or function
        A name, a table of name and options, an `Estimator`, or a function ``(frame, model) -> table of terms``.
    on : Cell, optional
        Where to test it (default: 20 schools of 20, ICC .1, half of them treated without effect): give a condition
        whose formula the method is made for.
    skip : sequence of str
        Names of checks that don't apply, such as ``scale`` for a method that isn't meant to be equivariant.
    replications : int, optional
        Data sets for the checks of coverage and size (default: what their power needs).
    reference : str, mapping, Estimator or function, optional
        A method that this one equals: estimates, standard errors, df, limits and p-values are compared on the same data
        sets. Without it, df that are wrong but used throughout pass; the check ``reference`` says so.

    Returns
    -------
    list of Check
        Every check with its outcome.

    Raises
    ------
    NonConforming
        A check failed. An `AssertionError`: its text is the list of all checks.
    InvalidInput
        The method, its reference or a check isn't known, or the reference has no answer on these data.
    """
    checks = conformance(method, on=on, skip=skip, replications=replications, reference=reference)
    if any(check.outcome == "fail" for check in checks):
        raise NonConforming(case_of(method, on).name, checks)
    return checks


def conformance(
    method: Method,
    *,
    on: Cell | None = None,
    skip: Sequence[str] = (),
    replications: int | None = None,
    reference: Method | None = None,
) -> list[Check]:
    """Run the conformance suite and return every check, failed or not."""
    known = {part.name: part for part in CHECKS}
    for name in skip:
        if name not in known:
            raise unknown_name("check", name, known)
    case = case_of(method, on, replications, reference)
    done: list[Check] = []
    for part in CHECKS:
        if part.name in skip:
            done.append(Check(part.name, part.claim, "skip", "as asked"))
        # The first is the schema: answers of another shape say nothing of the rest.
        elif done and done[0].outcome == "fail":
            done.append(Check(part.name, part.claim, "skip", f"{done[0].name} failed"))
        else:
            done.append(_run(part.name, part.claim, part.test, case))
    return done


def listed(checks: Sequence[Check]) -> str:
    """Return checks as lines: outcome, name, claim, reason."""
    lines = []
    for check in checks:
        lines.append(f"  {check.outcome:4}  {check.name:14} {check.claim}")
        lines.extend(_wrapped(line) for line in check.reason.splitlines())
    return "\n".join(lines)


def _wrapped(line: str, indent: str = " " * 8) -> str:
    """Return a line of prose within the terminal's width; commands stay whole, to be pasted."""
    if "nestbench " in line:
        return indent + line.strip()
    width = max(60, shutil.get_terminal_size().columns)
    return textwrap.fill(line.strip(), width, initial_indent=indent, subsequent_indent=indent)


def _run(name: str, claim: str, test: object, case: Case) -> Check:
    """Run one check; what it raises is its outcome."""
    try:
        test(case)  # type: ignore[operator]
    except AssertionError as failure:
        return Check(name, claim, "fail", str(failure))
    except Skipped as reason:
        return Check(name, claim, "skip", str(reason))
    except Exception as error:
        return Check(name, claim, "fail", f"raised {type(error).__name__}: {error}")
    return Check(name, claim, "pass")
