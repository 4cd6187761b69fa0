"""A script that shows one fit beside the exact values and needs nothing of ours: for a bug report."""

from __future__ import annotations

import ast
import inspect
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from nestbench.league.asked import BY_TERM, Asked
from nestbench.league.judging import Number, plain
from nestbench.league.package import Package, Way

HEAD = '''"""{title}

Needs pandas and {distribution} alone. Prints what the package reports beside the exact values, which are:
{convention}.
"""

from __future__ import annotations

import re
from functools import partial
from types import SimpleNamespace

import pandas as pd

BY_TERM = {by_term}

data = {data}
asked = SimpleNamespace({asked})
exact = [
{exact}
]

'''
TAIL = """
answer = {call}
print(f"{{'':34s}}{{'reported':>24s}}{{'exact':>24s}}")
for quantity, term, value in exact:
    reported = answer.get(quantity)
    if isinstance(reported, dict):
        reported = {{plain(str(name)): one for name, one in reported.items()}}.get(plain(term))
    print(f"{{quantity + ' ' + term:34s}}{{reported!s:>24s}}{{value!s:>24s}}")
"""


def script(
    title: str, package: Package, way: Way, data: pd.DataFrame, asked: Asked, numbers: list[Number]
) -> str:
    """Return the script of one fit.

    Parameters
    ----------
    title : str
        Its first line.
    package : Package
    way : Way
    data : DataFrame
    asked : Asked
    numbers : list of Number
        Whose exact values are printed; terms have our names, which the script finds among the package's.
    """
    fit = way.fit.func if isinstance(way.fit, partial) else way.fit
    given = way.fit.keywords if isinstance(way.fit, partial) else {}
    options = "".join(f", {name}={value!r}" for name, value in given.items())
    fields = {
        name: getattr(asked, name) for name in ("formula", "group", "slope", "subgroup", "level", "lme4")
    }
    head = HEAD.format(
        title=title,
        distribution=package.distribution,
        convention=way.convention,
        by_term=BY_TERM,
        data=frame_text(data),
        asked=", ".join(f"{name}={value!r}" for name, value in fields.items()),
        exact="\n".join(f"    ({n.quantity!r}, {n.term!r}, {_literal(n.exact)})," for n in numbers),
    )
    own = functions_of(fit) + f"\n\n{inspect.getsource(plain)}\n"
    return head + own + TAIL.format(call=f"{fit.__name__}(data, asked{options})")


def frame_text(data: pd.DataFrame) -> str:
    """Return Python that makes a table again: numbers to their last digit, categories with their levels."""
    columns = ",\n".join(f"        {name!r}: {_column(data[name])}" for name in data.columns)
    index = "" if isinstance(data.index, pd.RangeIndex) else f",\n    index={data.index.tolist()!r}"
    return f"pd.DataFrame(\n    {{\n{columns},\n    }}{index},\n)"


def _column(column: pd.Series[Any]) -> str:
    """Return Python that makes a column."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = column.cat.categories.tolist()
        return f"pd.Categorical({_values(column)}, categories={levels!r})"
    return _values(column)


def _values(column: pd.Series[Any]) -> str:
    values = column.astype(object).where(column.notna(), None).tolist()
    missing = 'float("nan")' if pd.api.types.is_numeric_dtype(column.dtype) else "None"
    return "[" + ", ".join(missing if value is None else repr(value) for value in values) + "]"


def functions_of(fit: Any) -> str:
    """Return the functions and plain constants of an adapter's file, as they are written: all but its records."""
    text = Path(inspect.getfile(fit)).read_text(encoding="utf-8")
    lines = text.splitlines()
    kept = [node for node in ast.parse(text).body if _stands_alone(node)]
    return "\n\n\n".join("\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in kept) + "\n"


def _stands_alone(node: ast.stmt) -> bool:
    """Whether a statement of an adapter's file needs none of our names when it runs."""
    if isinstance(node, ast.FunctionDef):
        return not (isinstance(node.returns, ast.Name) and node.returns.id == "Way")
    return isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(
        node.value, ast.Tuple | ast.Dict | ast.Constant
    )


def _literal(value: float) -> str:
    """Return a number as Python reads it."""
    return repr(value) if value == value and abs(value) != float("inf") else f'float("{value}")'
