"""Many methods on one data set: fitted, and shown as tables, JSON or CSV."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nestbench.estimators.estimates import ESTIMATE, STD_ERROR, FitStatus
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.honoured import RandomPart, intercept_alone
from nestbench.estimators.methods import registry
from nestbench.estimators.null import null_words
from nestbench.own_data.bar import Step, silent
from nestbench.own_data.fit import COLUMNS, Choice, Fit, chosen_estimator, fit_one
from nestbench.own_data.row_cells import cells_of, digits_of, number
from nestbench.own_data.trials import too_long
from nestbench.own_data.user_data import UserData, prepare
from nestbench.own_data.usual import term_lines
from nestbench.reports import notebook
from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput, unknown_name
from nestbench.sim.observed.design import design_of
from nestbench.sim.observed.model import Model

ENGINES = ("auto", "reference", "batched")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SideBySide:
    """What many methods say about one data set; `left_out` has the reason for each that could not be asked, `remarks`
    what is to be said of the terms, and which methods use what of the model."""

    data: UserData
    model: Model
    fits: tuple[Fit, ...]
    left_out: Mapping[str, str]
    remarks: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Fit:
        """The fit of one method, by its label."""
        named = [fit for fit in self.fits if fit.estimator == name]
        if not named:
            raise unknown_name("method", name, [fit.estimator for fit in self.fits])
        return named[0]

    def __repr__(self) -> str:
        text = io.StringIO()
        print_tables(self, Console(file=text, width=100, highlight=False))
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def _repr_html_(self) -> str:
        return side_by_side_html(self)

    def require_an_answer(self) -> None:
        """Refuse fits of which none has an estimate.

        Raises
        ------
        InvalidInput
            Says why.
        """
        if all(fit.status == FitStatus.FAILED for fit in self.fits):
            why = "; ".join(dict.fromkeys(text for fit in self.fits for text in fit.messages)) or "failed"
            design = self.data.batch.once(design_of, self.model)
            y = design.outcome(self.data.batch)
            if y.min() == y.max():
                raise InvalidInput(
                    f"expected an outcome that varies, got '{design.response}', which is {y[0]:g} in "
                    f"{plural(len(y), 'row')}; check that it is the column meant, and that no filter left one value"
                )
            raise InvalidInput(
                f"expected data that one of the methods can be fitted to, got a failure of each: {why}"
            )

    @property
    def terms(self) -> list[str]:
        """Terms of all fits, in the order first seen."""
        return list(dict.fromkeys(term for fit in self.fits for term in fit.terms.index))


def fit_all(
    frame: pd.DataFrame,
    model: Model,
    names: Sequence[Choice] | None = None,
    engine: str = "auto",
    messages: Mapping[str, str] | None = None,
    step: Step = silent,
    *,
    unasked: bool = False,
) -> SideBySide:
    """Fit the methods named (or given as tables with options, or as they are), or every one there is, to one data set.

    Of every method, one that does not apply (it needs a subgroup, an option or a package that isn't there), or that
    would take too long on data of many schools (`trials.too_long`), is left out with its reason; a method that was
    named must apply. `messages` tell how the table was read, `step` hears which method runs.

    Parameters
    ----------
    frame : DataFrame
    model : Model
    names : sequence, optional
        All methods that apply by default, less those that a trial finds too slow.
    engine : str
    messages : mapping, optional
        See `prepare`.
    step : callable
        Hears which method comes next.
    unasked : bool
        The user named none of `names`: those that don't apply are left out, as of every method.
    """
    unasked = unasked or names is None
    methods = [chosen_estimator(name, {}) for name in (registry.runnable() if names is None else names)]
    _refuse_twice([estimator.label for estimator in methods])
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    data = prepare(frame, model, messages)
    fits: list[Fit] = []
    left_out: dict[str, str] = {}
    for done, estimator in enumerate(methods):
        step(done, len(methods), estimator.label)
        try:
            if unasked and (reason := too_long(data.batch, estimator, model, engine)):
                left_out[estimator.name] = reason
            else:
                fits.append(fit_one(data, estimator, model, engine))
        except InvalidInput as error:
            if not unasked:
                raise
            left_out[estimator.name] = str(error)
    fitted = [estimator for estimator in methods if estimator.name not in left_out]
    said = (*term_lines(data.batch, model), *used_by(fitted, model))
    return SideBySide(data, model, tuple(fits), left_out, said)


def _refuse_twice(labels: Sequence[str]) -> None:
    """Refuse no method, or the same twice: their columns could not be told apart."""
    if not labels:
        raise InvalidInput("expected at least one method, got none; see nestbench list methods")
    again = next((label for label, times in Counter(labels).items() if times > 1), None)
    if again is not None:
        raise InvalidInput(
            f"expected each method once, got '{again}' {labels.count(again)} times; name it once"
        )


def used_by(fitted: Sequence[Estimator], model: Model) -> tuple[str, ...]:
    """Say which methods use the model's random slopes and its groups within groups, where it has them."""
    said = []
    if not intercept_alone(model.random):
        users = [method.label for method in fitted if method.random is not RandomPart.NONE]
        said.append(f"the random part ({model.random}) is used by: {_listed(users)}")
    if model.subgroup is not None:
        users = [method.label for method in fitted if method.subgroup]
        said.append(f"the subgroup ({model.subgroup}) is used by: {_listed(users)}")
    return tuple(said)


def _listed(labels: Sequence[str]) -> str:
    """Return labels in words."""
    return ", ".join(labels) or "none of these methods"


def to_json(fitted: SideBySide) -> str:
    """Return everything as JSON: NaN is null, an infinite df the string ``"inf"``."""
    document = {
        "formula": fitted.model.formula,
        "group": fitted.model.group,
        "random": fitted.model.random,
        "level": fitted.model.level,
        **({"null": dict(fitted.model.null)} if fitted.model.null else {}),
        "n": fitted.data.n,
        "groups": fitted.data.groups,
        "messages": [*fitted.data.messages, *fitted.remarks],
        "fits": [_fit_entry(fit, fitted.data) for fit in fitted.fits],
        "left_out": dict(fitted.left_out),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def to_csv(fitted: SideBySide) -> str:
    """Return one row a method and term; fit-level numbers are terms in parentheses."""
    rows: list[dict[str, Any]] = []
    for fit in fitted.fits:
        own = {"status": fit.status.name, "message": "; ".join(_own_messages(fit, fitted.data))}
        for term, row in fit.terms.iterrows():
            rows.append({"estimator": fit.estimator, "term": term, **{n: row[n] for n in COLUMNS}, **own})
        for name, value in _quantities(fit).items():
            rows.append({"estimator": fit.estimator, "term": f"({name})", ESTIMATE: value, **own})
    table = pd.DataFrame(rows, columns=["estimator", "term", *COLUMNS, "status", "message"])
    buffer = io.StringIO()
    # pandas would end lines as the system does, and whoever writes the text to a file would once more.
    table.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue()


def print_tables(fitted: SideBySide, console: Console | None = None) -> None:
    """Print a table a term, methods as rows, then fit-level numbers and messages."""
    out = console or Console(highlight=False)
    out.print(
        Text(
            f"{fitted.model.formula}: {fitted.data.n} rows in {fitted.data.groups} groups ({fitted.model.group})"
        )
    )
    if (tested := null_words([fitted.model])) != "0":
        out.print(Text(f"p: tests of {tested}"))
    for message in (*fitted.data.messages, *fitted.remarks):
        out.print(Text(message))
    for table in _term_tables(fitted, out):
        out.print(table)
    if any(_quantities(fit) for fit in fitted.fits):
        out.print(_quantity_table(fitted, out))
    for text, methods in notes(fitted).items():
        out.print(Text.assemble((", ".join(methods), "bold"), f": {text}"))


_LAYOUTS = (
    (3, ("method", "estimate", "SE", "df", "interval", "p", "status")),
    (2, ("method", "estimate", "SE", "interval", "p")),
    (2, ("method", "estimate", "interval")),
)
"""Figures shown of the usual standard error, and columns, from the widest terminal to the narrowest."""


def _term_tables(fitted: SideBySide, out: Console) -> list[Table]:
    """Return a table a term, all in the widest layout in which every one fits the terminal."""
    tables: list[Table] = []
    # rich measures a table as it would squeeze it into the width that it is given.
    unbounded = out.options.update(max_width=10_000)
    for figures, columns in _LAYOUTS:
        tables = [_term_table(fitted, term, figures, columns) for term in fitted.terms]
        if all(out.measure(table, options=unbounded).maximum <= out.width for table in tables):
            break
    return tables


def _term_table(fitted: SideBySide, term: str, figures: int, columns: tuple[str, ...]) -> Table:
    """Return the table of one term, a method a row, with as many decimals as the smallest standard error asks for."""
    table = _table(Text(term))
    for name in columns:
        heading = f"{100 * fitted.model.level:g} % interval" if name == "interval" else name
        table.add_column(
            heading, justify="left" if name in ("method", "status") else "right", overflow="fold"
        )
    rows: dict[str, Any] = {
        fit.estimator: fit.terms.loc[term] for fit in fitted.fits if term in fit.terms.index
    }
    digits = digits_of([float(row[STD_ERROR]) for row in rows.values()], figures)
    for fit in fitted.fits:
        if fit.estimator in rows:
            cells = cells_of(fit.estimator, fit.status, rows[fit.estimator], digits, "status" in columns)
            table.add_row(*(Text(cells[name]) for name in columns), style="" if fit.usable else "dim")
    return table


def _table(title: Text) -> Table:
    """Return an empty table in the form that all have."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )


LEFT_FIRST = ("iterations", "score")
"""Fit-level numbers of the optimiser: left to JSON and CSV where the terminal is too narrow for all."""


def _quantity_table(fitted: SideBySide, out: Console) -> Table:
    """Return the table of fit-level numbers, with as many columns as fit the terminal unbroken."""
    names = list(dict.fromkeys(name for fit in fitted.fits for name in _quantities(fit)))
    names.sort(key=lambda name: LEFT_FIRST[::-1].index(name) if name in LEFT_FIRST else -1)
    unbounded = out.options.update(max_width=10_000)
    for count in range(len(names), 0, -1):
        table = _quantities_of(fitted, names[:count], names[count:])
        if out.measure(table, options=unbounded).maximum <= out.width:
            break
    return table


def _quantities_of(fitted: SideBySide, names: Sequence[str], left: Sequence[str]) -> Table:
    """Return the table of fit-level quantities, those that found no room named in its title."""
    rest = f" ({', '.join(name.replace('_', ' ') for name in left)}: with --json)" if left else ""
    table = _table(Text(f"Fit{rest}"))
    table.add_column("method", no_wrap=True)
    for name in names:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for fit in fitted.fits:
        values = _quantities(fit)
        if values:
            numbers = (Text(number(values.get(name, math.nan), None)) for name in names)
            table.add_row(Text(fit.estimator), *numbers)
    return table


def notes(fitted: SideBySide) -> dict[str, list[str]]:
    """Return each status, message and reason once, with the methods it belongs to."""
    said: dict[str, list[str]] = {}
    for fit in fitted.fits:
        words = "; ".join(_own_messages(fit, fitted.data))
        status = "" if fit.status is FitStatus.OK else fit.status.name.lower().replace("_", " ")
        text = ": ".join(part for part in (status, words) if part)
        if text:
            said.setdefault(text, []).append(fit.estimator)
    for name, reason in fitted.left_out.items():
        said.setdefault(f"left out: {reason}", []).append(name)
    return said


def _own_messages(fit: Fit, data: UserData) -> tuple[str, ...]:
    """Return the messages of a fit that are not about the data, which are said once for all."""
    # `fit_one` puts those about the data first.
    return fit.messages[len(data.messages) :]


def _quantities(fit: Fit) -> dict[str, float]:
    """Return a fit's variance components and log-likelihood."""
    return {**fit.variance, **({} if fit.loglik is None else {"loglik": fit.loglik})}


def _fit_entry(fit: Fit, data: UserData) -> dict[str, Any]:
    """Return a fit as JSON values."""
    return {
        "estimator": fit.estimator,
        "engine": fit.engine,
        "status": fit.status.name,
        "messages": list(_own_messages(fit, data)),
        "terms": [
            {"term": term, **{name: _json_number(row[name]) for name in COLUMNS}}
            for term, row in fit.terms.iterrows()
        ],
        "variance": {name: _json_number(value) for name, value in fit.variance.items()},
        "loglik": fit.loglik,
    }


def _json_number(value: float) -> float | str | None:
    """Return a number as JSON has it: no NaN, and infinities as text."""
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def side_by_side_html(fitted: SideBySide) -> str:
    """Return many methods on one data set: a table a term, methods as rows; then what was said, with whose it is."""
    model = fitted.model
    parts = [
        notebook.line(f"{model.formula}: {fitted.data.n} rows in {fitted.data.groups} groups ({model.group})")
    ]
    names = ("method", "estimate", "SE", "df", "interval", "p", "status")
    headings = [f"{100 * model.level:g} % interval" if n == "interval" else n for n in names]
    for term in fitted.terms:
        fits: list[tuple[Fit, Any]] = [
            (fit, fit.terms.loc[term]) for fit in fitted.fits if term in fit.terms.index
        ]
        digits = digits_of([float(row[STD_ERROR]) for _, row in fits], 3)
        cells = [cells_of(fit.estimator, fit.status, row, digits, True) for fit, row in fits]
        parts += [
            notebook.titled(term),
            notebook.table(headings, [[own[name] for name in names] for own in cells]),
        ]
    said = [f"{', '.join(methods)}: {text}" for text, methods in notes(fitted).items()]
    return notebook.block(*parts, *map(notebook.line, [*fitted.data.messages, *fitted.remarks, *said]))
