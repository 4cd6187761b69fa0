"""Data sets as CSV: byte for byte what pandas writes of the frame, whatever columns and schools are called."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nestbench.reports.frames import csv_of
from nestbench.sim.observed.as_csv import csv_of_sample
from nestbench.sim.observed.batch import Batch, Category
from nestbench.sim.streams import StreamSource

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["=1+1", "-2", 'a"b', "é,"]
)
NUMBERS = st.floats(width=64) | st.sampled_from([0.1 + 0.2, -0.0, 1e22, 5e-324, 1.0])


@settings(max_examples=40)
@given(st.data())
def test_equals_the_frame_as_csv(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))
    n, levels = sum(sizes), data.draw(st.lists(TEXTS, min_size=1, max_size=3, unique=True))
    codes = data.draw(st.lists(st.integers(0, len(levels) - 1), min_size=n, max_size=n))
    names = data.draw(st.lists(TEXTS.filter(bool), min_size=3, max_size=3, unique=True))
    batch = Batch(
        columns={
            names[0]: np.array(data.draw(st.lists(NUMBERS, min_size=n, max_size=n))),
            names[1]: Category(np.array(codes, dtype=np.int32), tuple(levels)),
        },
        group=names[2],
        school_offsets=np.concatenate([[0], np.cumsum(sizes)]),
        replication_offsets=np.array([0, len(sizes) - 1, len(sizes)]),
        replications=np.arange(2),
        streams=StreamSource(0, "test"),
        school_labels=tuple(data.draw(st.lists(TEXTS, min_size=len(sizes), max_size=len(sizes)))),
    )
    for sample in (batch.replication(0), batch.replication(1)):
        assert csv_of_sample(sample) == csv_of(sample.frame())
