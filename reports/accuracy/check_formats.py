"""The outcome of a check for a terminal, a pull request (Markdown), programs (JSON) and CI servers (JUnit XML)."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from nestbench.reports.accuracy.baseline import Value
from nestbench.reports.accuracy.changes import FAILING, Change, Mark
from nestbench.reports.accuracy.check import Check
from nestbench.reports.accuracy.sight import POWER
from nestbench.sim.counted import plural
from nestbench.sim.visible import visible

Marks = tuple[Mark, ...]
Replayed = str | Callable[[int, int, str], str]
"""A run directory, or a function of condition, replication and method that returns the command to see it."""


def to_text(check: Check, run: Replayed = "RUN", failing: Marks = FAILING) -> str:
    """Return the outcome as lines for a terminal: verdict, what was compared, then one block a change.

    Parameters
    ----------
    check : Check
    run : str or callable
        A run directory, or what returns the command to see a data set.
    failing : Marks
        Marks that make the check fail.
    """
    lines = [
        verdict(check, failing),
        *compared(check),
        *seen(check),
        *(f"note: {note}" for note in check.notes),
    ]
    for change in check.changes:
        lines += ["", f"{change.mark.value.upper()}  {place(change)}", f"    {what(change)}"]
        lines += [f"    {command}" for command in replay(change, run)]
    return "\n".join(lines) + "\n"


def to_markdown(check: Check, run: Replayed = "RUN", failing: Marks = FAILING) -> str:
    """Return the outcome as Markdown: verdict, table of changes, and how to replay what moved."""
    lines = [f"**{verdict(check, failing)}**", "", *compared(check), *seen(check)]
    lines += ["", *(f"- {note}" for note in check.notes)] if check.notes else []
    if check.changes:
        lines += ["", "| mark | condition | method | term | measure | what |", "|---|---|---|---|---|---|"]
        for change in check.changes:
            named = change.mark.value, where(change), change.estimator, change.term, change.measure
            cells = (*named, what(change))
            lines.append("| " + " | ".join(escaped(text) for text in cells) + " |")
    commands = list(dict.fromkeys(c for change in check.changes for c in replay(change, run)))
    if commands:
        lines += ["", "To see a replication that moved:", "", "```sh", *commands[:10], "```"]
    return "\n".join(lines) + "\n"


def to_json(check: Check, failing: Marks = FAILING) -> str:
    """Return the outcome as JSON: what was compared, and every change with all its numbers."""
    content = {
        "baseline": check.baseline,
        "failed": bool(check.failing(failing)),
        "counts": check.counts(),
        "pairs": check.pairs,
        "identical": check.identical,
        "replayed": check.replayed,
        "tested": check.tested,
        "tests": check.tests,
        "alike": check.alike,
        "settled": check.settled,
        "alpha": check.alpha,
        "notes": list(check.notes),
        "would_see": [
            {
                "departure": sight.departure,
                "everywhere": _finite(sight.everywhere),
                "one_cell": _finite(sight.one_cell),
            }
            for sight in check.sights
        ],
        "changes": [_change_content(change) for change in check.changes],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_junit(check: Check, run: Replayed = "RUN", failing: Marks = FAILING) -> str:
    """Return the outcome as JUnit XML: a test case per change; what doesn't fail the check is output, not failure.

    For CI systems that show test results by case; one that fails has the commands to replay it.
    """
    failed = check.failing(failing)
    skipped = [
        change for change in check.changes if change.mark is Mark.NOT_COMPARABLE and change not in failed
    ]
    suite = ElementTree.Element(
        "testsuite",
        name=f"nestbench check {check.baseline}",
        tests=str(len(check.changes) + 1),
        failures=str(len(failed)),
        errors="0",
        skipped=str(len(skipped)),
    )
    summary = ElementTree.SubElement(suite, "testcase", classname="nestbench.check", name="comparison")
    ElementTree.SubElement(summary, "system-out").text = "\n".join([*compared(check), *seen(check)])
    for change in check.changes:
        name = f"{change.measure or 'present'} of {change.term} [{where(change)}]"
        case = ElementTree.SubElement(suite, "testcase", classname=change.estimator, name=name)
        text = "\n".join([what(change), *replay(change, run)])
        if change in failed:
            ElementTree.SubElement(case, "failure", message=change.mark.value).text = text
        elif change in skipped:
            ElementTree.SubElement(case, "skipped", message=text)
        else:
            ElementTree.SubElement(case, "system-out").text = f"{change.mark.value}: {text}"
    ElementTree.indent(suite)
    _make_visible(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def verdict(check: Check, failing: Marks = FAILING) -> str:
    """Return the outcome in one line."""
    counts = ", ".join(f"{n} {mark}" for mark, n in check.counts().items())
    if check.failing(failing):
        return f"accuracy check against '{check.baseline}' FAILED: {counts}"
    return f"accuracy check against '{check.baseline}' passed" + (f" with {counts}" if counts else "")


def compared(check: Check) -> list[str]:
    """Return what was compared, in sentences."""
    lines = [
        f"{plural(check.pairs, 'pair')} of condition and method compared: {check.identical} with identical numbers, "
        f"{check.pairs - check.identical - check.tested} replication by replication, {check.tested} by tests."
    ]
    if check.tests:
        same = f"{check.alike} of numbers that are the same in every data set; " if check.alike else ""
        lines.append(
            f"{plural(check.tests, 'test')} by permutation (false-alarm rate {check.alpha:g} for all together): {same}"
            f"{check.settled} show a difference within the margin, the others would need more replications to."
        )
    return lines


def seen(check: Check) -> list[str]:
    """Return what a check on other data would see with how many replications, in sentences."""
    if not check.sights:
        return []
    parts = [
        f"{sight.departure} from n = {_size(sight.everywhere)} on ({_size(sight.one_cell)} if in one condition)"
        for sight in check.sights
    ]
    return [f"With n replications in each run a check finds, with probability {POWER:g}: {'; '.join(parts)}."]


def place(change: Change) -> str:
    """Return method, term, measure and condition."""
    named = [change.estimator, change.term, change.measure]
    return f"{'  '.join(name for name in named if name)}  [{where(change)}]"


def where(change: Change) -> str:
    """Return the condition with its factor levels."""
    if change.cell is None and not change.factors:
        return "all conditions"
    levels = ", ".join(f"{name}={level}" for name, level in change.factors.items())
    number = "gone" if change.cell is None else f"condition {change.cell}"
    return f"{number}: {levels}" if levels else number


def what(change: Change) -> str:
    """Return what changed, in words and numbers."""
    parts = []
    if change.before is not None and change.after is not None:
        parts.append(f"{shown(change.before)} -> {shown(change.after)}")
    if change.detail:
        parts.append(change.detail)
    if change.p_value is not None:
        parts.append(f"adjusted p = {change.p_value:.2g}")
    if change.replications:
        listed = ", ".join(str(r) for r in change.replications[:8])
        name = "replication" if len(change.replications) == 1 else "replications"
        parts.append(f"{name} {listed}{', ...' if len(change.replications) > 8 else ''}")
    return "; ".join(parts)


def shown(value: Value) -> str:
    """Return a value with its Monte Carlo error and n: ``0.9412 (MCSE 0.0074, n 1000)``."""
    number, mcse, n = value
    return f"{number:.4g} (MCSE {mcse:.2g}, n {n})"


def replay(change: Change, run: Replayed, most: int = 2) -> list[str]:
    """Return the commands that replay some of the replications concerned."""
    if change.cell is None:
        return []
    if callable(run):
        return [run(change.cell, r, change.estimator) for r in change.replications[:most]]
    return [
        f"nestbench replay {shlex.quote(run)} --condition {change.cell} --replication {r} "
        f"--method {shlex.quote(change.estimator)}"
        for r in change.replications[:most]
    ]


def _change_content(change: Change) -> dict[str, Any]:
    """Return a change as JSON values."""
    return {
        "mark": change.mark.value,
        "cell": change.cell,
        "factors": dict(change.factors),
        "estimator": change.estimator,
        "term": change.term,
        "measure": change.measure,
        "before": _value_content(change.before),
        "after": _value_content(change.after),
        "p_value": change.p_value,
        "detail": change.detail,
        "replications": list(change.replications),
    }


def _value_content(value: Value | None) -> dict[str, Any] | None:
    """Return a value with its error and n as JSON values."""
    if value is None:
        return None
    numbers = dict(zip(("value", "mcse", "n"), value, strict=True))
    return {name: n if math.isfinite(n) else None for name, n in numbers.items()}


def _size(n: float) -> str:
    """Return a number of replications, two digits of it: it is an approximation."""
    return f"{float(f'{n:.2g}'):,.0f}".replace(",", " ") if math.isfinite(n) else "no number"


def _finite(n: float) -> float | None:
    """Return a number, None where it isn't finite."""
    return n if math.isfinite(n) else None


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")


def _make_visible(root: ElementTree.Element) -> None:
    """Write out, in every text and attribute, what XML 1.0 can't hold: ElementTree writes it as it is, and no parser
    takes the file."""
    for element in root.iter():
        element.text = None if element.text is None else visible(element.text)
        for name, value in element.attrib.items():
            element.set(name, visible(value))
