"""Advice in a notebook: what the terminal says, as small HTML."""

from __future__ import annotations

from typing import Any

from nestbench.advising.advice import Advice
from nestbench.advising.sentences import assumption, precaution, sure_words, verdict
from nestbench.advising.terminal import decimals_of, design_line, own, percent, summary
from nestbench.reports import notebook


def html_of(advice: Advice) -> str:
    """Return the answer: sentences, then the methods, the estimates last."""
    rows: Any = summary(advice)
    digits = decimals_of(advice)
    cells = [
        [
            fit.estimator,
            percent(float(rows.loc[fit.estimator, "coverage"])),
            str(rows.loc[fit.estimator, "grade"]),
            f"{float(rows.loc[fit.estimator, 'relative']):.2f}",
            *own(fit, advice.term, digits),
        ]
        for fit in advice.fits
    ]
    level = f"{100 * advice.model.level:g} % interval"
    return notebook.block(
        notebook.titled(verdict(advice), assumption(advice)),
        notebook.line(f"{sure_words(advice)} {precaution(advice)}".strip()),
        notebook.line(design_line(advice)),
        notebook.table(["method", "lowest coverage, %", "grade", "width", "estimate", level, "p"], cells),
    )
