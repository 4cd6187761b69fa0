"""The stored files: Parquet whose bytes are a function of the numbers alone.

No time stamps, no statistics, a fixed order of rows and one row group per method: whether two runs agree can then be
told by checksums, and a task that is done again writes the same file.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nestbench.estimators.estimates import STORED_COLUMNS, Estimates
from nestbench.estimators.stored_rows import STORED_SCHEMA, from_table, to_table
from nestbench.sim.errors import StoreError
from nestbench.sim.tables.packed import CELLS, RATIO
from nestbench.sim.visible import visible

DICTIONARIES = ["estimator", "term", "message"]
ENCODINGS = {
    "replication": "DELTA_BINARY_PACKED",
    # One byte each, nearly all alike: compression does the rest.
    "status": "PLAIN",
    # Bytes of equal significance side by side: signs and exponents of a column are nearly alike and compress,
    # where whole doubles hardly do.
    **dict.fromkeys(STORED_COLUMNS, "BYTE_STREAM_SPLIT"),
}
TIMES_SCHEMA = pa.schema(
    [
        ("estimator", pa.dictionary(pa.int16(), pa.string())),
        ("engine", pa.dictionary(pa.int16(), pa.string())),
        ("replication", pa.int32()),
        ("seconds", pa.float32()),
    ]
)
AUDIT_SCHEMA = pa.schema(
    [
        ("cell", pa.int64()),
        ("estimator", pa.string()),
        ("agreement", pa.string()),
        ("fits", pa.int64()),
        ("worst", pa.float64()),
        ("disagreements", pa.int64()),
        ("stopped_short", pa.int64()),
        ("worst_shortfall", pa.float64()),
        ("below_grid", pa.int64()),
        ("worst_below_grid", pa.float64()),
    ]
)
AUDIT_COLUMNS = tuple(AUDIT_SCHEMA.names)


def encode_estimates(by_label: Mapping[str, Estimates]) -> bytes:
    """Return the Parquet bytes of a task's estimates: one row group per method, in order."""
    return _parquet(
        STORED_SCHEMA,
        [to_table(label, estimates) for label, estimates in by_label.items()],
        DICTIONARIES,
        ENCODINGS,
    )


def decode_estimates(data: bytes, position: int, names: Sequence[str] | None = None) -> Estimates:
    """Return the estimates of the method at a position of a task's file: all, or of some terms and quantities.

    One row group is read and the rest stays on disk. Terms and messages may come from a stranger's file: control
    characters in them are made visible, for they end up on a terminal.
    """
    # One group is too little work to share, and the callers run side by side in processes already.
    table = _opened(data).read_row_group(position, use_threads=False)
    wanted = None if names is None else lambda name: visible(name) in names
    estimates = next(iter(from_table(table, wanted).values()))
    terms, messages = tuple(map(visible, estimates.terms)), tuple(map(visible, estimates.messages))
    if (terms, messages) == (estimates.terms, estimates.messages):
        return estimates
    return replace(estimates, terms=terms, messages=messages)


def decode_names(data: bytes, methods: int) -> list[list[str]]:
    """Return the terms and quantities of each of a task's methods, which its file has in order."""
    file = _opened(data)
    columns = (
        file.read_row_group(position, ["term"], use_threads=False)["term"] for position in range(methods)
    )
    return [[visible(name) for name in column.unique().to_pylist()] for column in columns]


def encode_times(by_label: Mapping[str, Estimates], engines: Mapping[str, str]) -> bytes:
    """Return the Parquet bytes of a task's wall times: never part of the estimates' bytes."""
    tables = []
    for label, estimates in by_label.items():
        zeros = pa.array(np.zeros(estimates.size, dtype=np.int16))
        columns = [
            pa.DictionaryArray.from_arrays(zeros, pa.array([label])),
            pa.DictionaryArray.from_arrays(zeros, pa.array([engines[label]])),
            pa.array(estimates.replications.astype(np.int32)),
            pa.array(estimates.seconds.astype(np.float32)),
        ]
        tables.append(pa.table(columns, schema=TIMES_SCHEMA))
    # Each table numbers its own labels from 0: unified, the file holds one dictionary.
    whole = pa.concat_tables(tables).unify_dictionaries() if tables else TIMES_SCHEMA.empty_table()
    encodings = {"replication": "DELTA_BINARY_PACKED", "seconds": "BYTE_STREAM_SPLIT"}
    return _parquet(TIMES_SCHEMA, [whole], ["estimator", "engine"], encodings)


def decode_times(data: bytes) -> pa.Table:
    """Return a task's times: columns ``estimator, engine, replication, seconds``."""
    # Too little to share; the callers run side by side.
    return _opened(data).read(use_threads=False).select(TIMES_SCHEMA.names).cast(TIMES_SCHEMA)


def encode_audit(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the Parquet bytes of an audit task's rows (`AUDIT_COLUMNS`)."""
    columns = {name: [row[name] for row in rows] for name in AUDIT_COLUMNS}
    table = pa.table(columns)
    return _parquet(table.schema, [table], ["estimator", "agreement"], {})


def decode_audit(data: bytes) -> pa.Table:
    """Return an audit task's rows; what earlier versions did not look at is 0."""
    rows = _opened(data).read(use_threads=False)
    for name in AUDIT_COLUMNS:
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.array([0] * len(rows), pa.int64()))
    # One type a column, as tables of different tasks are put end to end.
    return rows.select(AUDIT_COLUMNS).cast(AUDIT_SCHEMA)


def _opened(data: bytes) -> pq.ParquetFile:
    """Return a file of a run to read from; StoreError where it would become far more than it has bytes for."""
    file = pq.ParquetFile(pa.BufferReader(data))
    # A run may come from somebody else, and a few bytes may state thousands of millions of equal values.
    values = file.metadata.num_rows * file.metadata.num_columns
    if values > max(CELLS, RATIO * len(data)):
        raise StoreError(f"states {values:,} values in {len(data):,} bytes")
    return file


def _parquet(
    schema: pa.Schema, tables: Sequence[pa.Table], dictionaries: list[str], encodings: dict[str, str]
) -> bytes:
    """Return tables as one Parquet file, a row group each."""
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=dictionaries,
        column_encoding=encodings or None,
        # Statistics would add bytes, and differ between versions of Arrow.
        write_statistics=False,
    ) as writer:
        for table in tables:
            # Arrow refuses groups of 0 rows, also for a table that has none.
            writer.write_table(table, row_group_size=max(1, table.num_rows))
    return sink.getvalue()
