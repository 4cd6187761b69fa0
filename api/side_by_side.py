"""Many methods on one data set: fitted, and shown as tables, JSON or CSV."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nestbench.estimators import registry
from nestbench.estimators.estimates import FitStatus
from nestbench.fit import COLUMNS, Fit, fit_one
from nestbench.sim.errors import InvalidInput
from nestbench.sim.model import Model
from nestbench.user_data import UserData, prepare


@dataclass(frozen=True, slots=True, eq=False)
class SideBySide:
    """What many methods say about one data set; `left_out` has the reason for each that could not be asked."""

    data: UserData
    model: Model
    fits: tuple[Fit, ...]
    left_out: Mapping[str, str]

    @property
    def terms(self) -> list[str]:
        """Terms of all fits, in the order first seen."""
        return list(dict.fromkeys(term for fit in self.fits for term in fit.terms.index))


def fit_all(
    frame: pd.DataFrame, model: Model, names: Sequence[str] | None = None, engine: str = "auto"
) -> SideBySide:
    """Fit the methods named, or every one there is, to one data set.

    Of every method, one that does not apply (it needs a subgroup, an option or a package that isn't there) is left out
    with its reason; a method that was named must apply.
    """
    data = prepare(frame, model)
    fits, left_out = [], {}
    for name in names if names is not None else list(registry.runnable()):
        estimator = registry.get(name)
        try:
            fits.append(fit_one(data, estimator, model, engine))
        except InvalidInput as error:
            if names is not None:
                raise
            left_out[name] = str(error)
    return SideBySide(data, model, tuple(fits), left_out)


def to_json(found: SideBySide) -> str:
    """Return everything as JSON: NaN is null, an infinite df the string ``"inf"``."""
    document = {
        "formula": found.model.formula,
        "group": found.model.group,
        "random": found.model.random,
        "level": found.model.level,
        "n": found.data.n,
        "groups": found.data.groups,
        "messages": list(found.data.messages),
        "fits": [_fit_entry(fit, found.data) for fit in found.fits],
        "left_out": dict(found.left_out),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def to_csv(found: SideBySide) -> str:
    """Return one row a method and term; fit-level numbers are terms in parentheses."""
    rows: list[dict[str, Any]] = []
    for fit in found.fits:
        own = {"status": fit.status.name, "message": "; ".join(_own_messages(fit, found.data))}
        for term, row in fit.terms.iterrows():
            rows.append({"estimator": fit.estimator, "term": term, **{n: row[n] for n in COLUMNS}, **own})
        for name, value in _quantities(fit).items():
            rows.append({"estimator": fit.estimator, "term": f"({name})", "estimate": value, **own})
    table = pd.DataFrame(rows, columns=["estimator", "term", *COLUMNS, "status", "message"])
    buffer = io.StringIO()
    table.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue()


def print_tables(found: SideBySide, console: Console | None = None) -> None:
    """Print a table a term, methods as rows, then fit-level numbers and messages."""
    out = console or Console(highlight=False)
    out.print(
        Text(
            f"{found.model.formula}: {found.data.n} rows in {found.data.groups} groups ({found.model.group})"
        )
    )
    for message in found.data.messages:
        out.print(Text(message))
    for table in _term_tables(found, out):
        out.print(table)
    if any(_quantities(fit) for fit in found.fits):
        out.print(_quantity_table(found))
    for line in _notes(found):
        out.print(line)


_LAYOUTS = (
    (3, ("method", "estimate", "SE", "df", "interval", "p", "status")),
    (2, ("method", "estimate", "SE", "interval", "p")),
    (2, ("method", "estimate", "interval")),
)
"""Figures shown of the usual standard error, and columns, from the widest terminal to the narrowest."""


def _term_tables(found: SideBySide, out: Console) -> list[Table]:
    """Return a table a term, all in the widest layout in which every one fits the terminal."""
    tables: list[Table] = []
    unbounded = out.options.update(max_width=10_000)
    for figures, columns in _LAYOUTS:
        tables = [_term_table(found, term, figures, columns) for term in found.terms]
        if all(out.measure(table, options=unbounded).maximum <= out.width for table in tables):
            break
    return tables


def _term_table(found: SideBySide, term: str, figures: int, columns: tuple[str, ...]) -> Table:
    table = _table(Text(term))
    for name in columns:
        heading = f"{100 * found.model.level:g} % interval" if name == "interval" else name
        table.add_column(
            heading, justify="left" if name in ("method", "status") else "right", overflow="fold"
        )
    rows: dict[str, Any] = {
        fit.estimator: fit.terms.loc[term] for fit in found.fits if term in fit.terms.index
    }
    digits = _digits([float(row["std_error"]) for row in rows.values()], figures)
    for fit in found.fits:
        if fit.estimator in rows:
            cells = _cells(fit, rows[fit.estimator], digits, "status" in columns)
            table.add_row(*(Text(cells[name]) for name in columns), style="" if fit.usable else "dim")
    return table


def _table(title: Text) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )


def _cells(fit: Fit, row: Any, digits: int | None, status_shown: bool) -> dict[str, str]:
    status = fit.status.name.lower().replace("_", " ")
    interval = "-"
    if math.isfinite(row["lower"]) or math.isfinite(row["upper"]):
        interval = f"{_number(row['lower'], digits)}, {_number(row['upper'], digits)}"
    return {
        "method": fit.estimator if status_shown or fit.status is FitStatus.OK else f"{fit.estimator} *",
        "estimate": _number(row["estimate"], digits),
        "SE": _number(row["std_error"], digits),
        "df": "-" if math.isnan(row["df"]) else "z" if math.isinf(row["df"]) else f"{row['df']:.4g}",
        "interval": interval,
        "p": _p(row["p_value"]),
        "status": status,
    }


def _quantity_table(found: SideBySide) -> Table:
    names = list(dict.fromkeys(name for fit in found.fits for name in _quantities(fit)))
    table = _table(Text("Fit"))
    table.add_column("method", no_wrap=True)
    for name in names:
        table.add_column(name.replace("_", " "), justify="right", overflow="fold")
    for fit in found.fits:
        values = _quantities(fit)
        if values:
            table.add_row(fit.estimator, *(_number(values.get(name, math.nan), None) for name in names))
    return table


def _notes(found: SideBySide) -> list[Text]:
    """Return each status and message once, with the methods it belongs to."""
    said: dict[str, list[str]] = {}
    for fit in found.fits:
        words = "; ".join(_own_messages(fit, found.data))
        status = "" if fit.status is FitStatus.OK else fit.status.name.lower().replace("_", " ")
        text = ": ".join(part for part in (status, words) if part)
        if text:
            said.setdefault(text, []).append(fit.estimator)
    for name, reason in found.left_out.items():
        said.setdefault(f"left out: {reason}", []).append(name)
    return [Text.assemble((", ".join(names), "bold"), f": {text}") for text, names in said.items()]


def _own_messages(fit: Fit, data: UserData) -> tuple[str, ...]:
    return fit.messages[len(data.messages) :]


def _quantities(fit: Fit) -> dict[str, float]:
    return {**fit.variance, **({} if fit.loglik is None else {"loglik": fit.loglik})}


def _fit_entry(fit: Fit, data: UserData) -> dict[str, Any]:
    return {
        "estimator": fit.estimator,
        "engine": fit.engine,
        "status": fit.status.name,
        "messages": list(_own_messages(fit, data)),
        "terms": [
            {"term": term, **{name: _plain(row[name]) for name in COLUMNS}}
            for term, row in fit.terms.iterrows()
        ],
        "variance": {name: _plain(value) for name, value in fit.variance.items()},
        "loglik": fit.loglik,
    }


def _plain(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def _digits(std_errors: Sequence[float], figures: int) -> int | None:
    """Return the decimals that show the usual standard error with so many figures; None: use significant figures."""
    good = sorted(value for value in std_errors if math.isfinite(value) and value > 0)
    if not good:
        return None
    digits = figures - 1 - math.floor(math.log10(good[len(good) // 2]))
    return digits if 0 <= digits <= 5 else None


def _number(value: float, digits: int | None) -> str:
    if math.isnan(value):
        return "-"
    if digits is None or not math.isfinite(value) or abs(value) >= 1e6:
        return f"{value:.4g}"
    return f"{value:.{digits}f}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "-"
    return "<.0001" if value < 1e-4 else f"{value:.4f}"[1:] if value < 1 else "1"
