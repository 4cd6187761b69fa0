"""``nestbench query``: SQL over a run's stored rows.

For questions that no report has an answer to; the tables are those of `reports.exports.query`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from nestbench.commands.output import say

EXAMPLES = ('nestbench query runs/few-schools "select * from cells"',)


def query(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    sql: Annotated[
        str, typer.Argument(help='E.g. "select estimator, avg(estimate) from fits group by all".')
    ],
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    r"""Ask the stored fits, performance and conditions of a run in SQL (needs the extra nestbench\[query])."""
    from nestbench.commands.output import say_missing, write_csv
    from nestbench.experiments.storing.store import Store
    from nestbench.reports.exports.query import query as ask

    store = Store.open(run)
    answer = ask(store, sql)
    say_missing(store)
    if csv:
        write_csv(answer, None)
    else:
        # In a pipe a row stays a line.
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        say(answer.to_string(index=False, line_width=width))
