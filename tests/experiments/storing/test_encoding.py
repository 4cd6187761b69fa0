"""Files of a run that somebody else wrote."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nestbench.experiments.storing import encoding
from nestbench.sim.errors import StoreError


def test_a_file_that_would_become_far_more_is_not_read() -> None:
    """Sixty million values in a hundred kilobytes, whoever reads them."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"term": pa.nulls(60_000_000)}), sink)
    data = sink.getvalue()
    assert len(data) < 200_000
    for read in (
        lambda: encoding.decode_estimates(data, 0),
        lambda: encoding.decode_names(data, 1),
        lambda: encoding.decode_times(data),
        lambda: encoding.decode_audit(data),
    ):
        with pytest.raises(StoreError, match="states 60,000,000 values"):
            read()
