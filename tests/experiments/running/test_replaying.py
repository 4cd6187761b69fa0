"""Replays equal what is stored, and say so when they don't."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nestbench
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.replaying import replay
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing import encoding
from nestbench.experiments.storing.journal import append
from nestbench.experiments.storing.store import Store
from nestbench.sim.errors import InvalidInput, StoreError


@pytest.fixture
def store(tiny: Experiment, tmp_path: Path) -> Store:
    return run_experiment(tiny, tmp_path / "run", workers=1, block=5)


def test_every_method_is_replayed_to_the_last_bit(store: Store) -> None:
    found = replay(store, cell=3, replication=7)
    assert [fit.label for fit in found] == ["ols", "ols-cr1s-t", "means"]
    assert {fit.verdict for fit in found} == {"identical"}
    assert found[0].table().loc["age", "estimate"] == store.estimates(3)["ols"].estimate[7, 1]


def test_data_of_a_replay_are_those_of_the_batch(store: Store) -> None:
    frame = store.experiment.data_set(2, 5).frame()
    batch = store.experiment.cells[2].draw(store.experiment.seed, range(3, 9))
    pd.testing.assert_frame_equal(frame, batch.replication(2).frame())
    pd.testing.assert_frame_equal(frame, nestbench.simulate(store.experiment, cell=2, replication=5))


def test_a_stored_row_that_differs_is_called_different(store: Store) -> None:
    entry = store.finished(0)[0]
    labels = [store.experiment.estimators[i].label for i in entry.task.estimators]
    found = {
        label: store.read(entry, "fits", partial(encoding.decode_estimates, position=i))
        for i, label in enumerate(labels)
    }
    found["ols"].estimate[2, 0] *= 1 + 1e-6
    data = encoding.encode_estimates(found)
    (store.folder / entry.files[0][0]).write_bytes(data)
    with pytest.raises(StoreError, match="other bytes than were stored"):
        replay(store, 0, 2)
    sealed = (entry.files[0][0], hashlib.sha256(data).hexdigest(), len(data))
    append(store.folder / "journal", [replace(entry, files=(sealed, *entry.files[1:]))])
    verdicts = {fit.label: fit.verdict for fit in replay(Store.open(store.folder), 0, 2)}
    assert verdicts == {"ols": "different", "ols-cr1s-t": "identical", "means": "identical"}


def test_what_is_not_stored_says_so(store: Store) -> None:
    assert [fit.verdict for fit in replay(store, 0, 999, "ols")] == ["not stored"]
    assert np.isfinite(replay(store, 0, 999, "ols")[0].estimates.estimate).all()


def test_wrong_places_are_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="condition from 0 to 3"):
        replay(store, 4, 0)
    with pytest.raises(InvalidInput, match="Did you mean 'ols'"):
        replay(store, 0, 0, "olss")
