"""SQL over a run's stored rows (DuckDB, the extra ``query``).

Tables: ``fits`` (every stored row: ``cell``, one column per factor, ``estimator, term,
replication, estimate, std_error, df, lower, upper, p_value, status, message``), ``performance`` (the performance table)
and ``cells`` (number, factors).
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from nestbench.experiments.results import Results
from nestbench.experiments.storing.rows import all_rows
from nestbench.reports.measures.performance import performance_table
from nestbench.sim.errors import InvalidInput

_TRY = 'try "select * from fits limit 5"'

TABLES = ("fits", "performance", "cells")


def query(store: Results, sql: str) -> pd.DataFrame:
    """Return the answer to one SELECT statement; only the tables it names are built, files can't be reached.

    Raises
    ------
    InvalidInput
        DuckDB isn't installed, or the statement can't be answered.
    """
    duckdb = _duckdb()
    if not sql.strip():
        raise InvalidInput(f"expected one SQL statement over {', '.join(TABLES)}, got nothing; {_TRY}")
    connection = duckdb.connect(":memory:")
    try:
        for name in TABLES:
            if name in sql.lower():
                connection.register(name, _table(store, name))
        # DuckDB takes a table it doesn't know for a variable of the caller's, or for a file. No query can turn
        # access to files on again: DuckDB refuses that once a database is open.
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET enable_external_access = false")
        answer: pd.DataFrame = connection.execute(sql).df()
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise InvalidInput(
            f"expected one SQL statement over {', '.join(TABLES)}, got an error: {first}; {_TRY}"
        ) from error
    finally:
        connection.close()
    return answer


def _table(store: Results, name: str) -> pd.DataFrame:
    """Return one of the tables that queries can name."""
    if name == "fits":
        return all_rows(store)
    if name == "performance":
        return performance_table(store)
    levels = store.experiment.levels
    return pd.DataFrame(
        [{"cell": i, **{f: _database_value(v) for f, v in level.items()}} for i, level in enumerate(levels)]
    )


def _database_value(value: Any) -> Any:
    """Return a level as a value that a database has a type for."""
    return value if isinstance(value, (int, float, str, bool)) else str(value)


def _duckdb() -> Any:
    """Return DuckDB, or say how to install it."""
    try:
        import duckdb
    except ImportError as error:
        raise InvalidInput(
            "expected DuckDB to be installed for queries, got no module 'duckdb'; pip install 'nestbench[query]'"
        ) from error
    return duckdb
