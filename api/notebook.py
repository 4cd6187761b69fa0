"""How fits and runs look in a notebook: small HTML without scripts, every text from elsewhere escaped.

Colours and widths are the notebook's own (its class ``dataframe``), so that light and dark themes hold.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nestbench.estimators.null import null_words
from nestbench.sim.visible import visible

if TYPE_CHECKING:
    from nestbench.experiments.storing.store import Store
    from nestbench.fit import Fit
    from nestbench.side_by_side import SideBySide

SHOWN = 12
"""Conditions of a run that are listed; the rest is counted."""


def fit_html(fit: Fit) -> str:
    """Return one fit: what was fitted to what, a row a term, fit-level numbers, and what the method had to say."""
    from nestbench.side_by_side import cells_of, digits_of

    tested = null_words([fit.model])
    head = f"{fit.n} rows in {fit.groups} groups ({fit.model.group}); {fit.model.formula}"
    digits = {term: digits_of([float(row["std_error"])], 3) for term, row in fit.terms.iterrows()}
    names = ("estimate", "SE", "df", "interval", "p")
    rows = [
        [str(term), *(cells_of(fit, row, digits[term], True)[name] for name in names)]
        for term, row in fit.terms.iterrows()
    ]
    headings = ["", *(f"{100 * fit.model.level:g} % interval" if n == "interval" else n for n in names)]
    numbers = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in fit.variance.items()]
    numbers += [] if fit.loglik is None else [f"loglik {fit.loglik:.2f}"]
    return _block(
        _titled(fit.estimator, fit.status.name.lower().replace("_", " ")),
        _line(head + ("" if tested == "0" else f"; p: tests of {tested}")),
        _table(headings, rows),
        *map(_line, filter(None, [", ".join(numbers), *fit.messages])),
    )


def side_by_side_html(found: SideBySide) -> str:
    """Return many methods on one data set: a table a term, methods as rows; then what was said, with whose it is."""
    from nestbench.side_by_side import cells_of, digits_of, notes

    model = found.model
    parts = [_line(f"{model.formula}: {found.data.n} rows in {found.data.groups} groups ({model.group})")]
    names = ("method", "estimate", "SE", "df", "interval", "p", "status")
    headings = [f"{100 * model.level:g} % interval" if n == "interval" else n for n in names]
    for term in found.terms:
        fits: list[tuple[Fit, Any]] = [
            (fit, fit.terms.loc[term]) for fit in found.fits if term in fit.terms.index
        ]
        digits = digits_of([float(row["std_error"]) for _, row in fits], 3)
        cells = [cells_of(fit, row, digits, True) for fit, row in fits]
        parts += [_titled(term), _table(headings, [[own[name] for name in names] for own in cells])]
    said = [f"{', '.join(methods)}: {text}" for text, methods in notes(found).items()]
    return _block(*parts, *map(_line, [*found.data.messages, *found.remarks, *said]))


def run_html(store: Store) -> str:
    """Return a run: its title, how far it is, its conditions with their data sets; nothing is computed from rows."""
    from nestbench.reports.words.conditions import conditions
    from nestbench.reports.words.missing import data_sets, missing_sentence
    from nestbench.sim.counted import plural

    experiment, fitted = store.experiment, store.extent().fitted
    size = [plural(len(experiment.cells), "condition"), plural(len(experiment.estimators), "method")]
    rows = [
        [str(cell), name, f"{max(fitted[cell].values(), default=0):,}"]
        for cell, name in enumerate(conditions(experiment)[:SHOWN])
    ]
    more = len(experiment.cells) - SHOWN
    return _block(
        _titled(experiment.title or experiment.name, str(store.folder)),
        _line(", ".join([*size, data_sets(store)])),
        _line(missing_sentence(store)),
        _line("Methods: " + ", ".join(estimator.label for estimator in experiment.estimators)),
        _table(["cell", "condition", "data sets"], rows, texts=2),
        _line(f"and {plural(more, 'further condition')}" if more > 0 else ""),
    )


def _text(text: str) -> str:
    return html.escape(visible(text))


def _block(*parts: str) -> str:
    return f"<div>{''.join(parts)}</div>"


def _titled(title: str, beside: str = "") -> str:
    return f"<p><strong>{_text(title)}</strong>{' ' if beside else ''}{_text(beside)}</p>"


def _line(text: str) -> str:
    return f"<p>{_text(text)}</p>" if text else ""


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """Return a table whose first columns are texts, the others numbers."""

    def row(cells: Sequence[str], tag: str) -> str:
        sides = ["left" if k < texts else "right" for k in range(len(cells))]
        made = (
            f'<{tag} style="text-align:{side}">{_text(cell)}</{tag}>'
            for side, cell in zip(sides, cells, strict=True)
        )
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return f'<table class="dataframe"><thead>{row(headings, "th")}</thead><tbody>{body}</tbody></table>'
