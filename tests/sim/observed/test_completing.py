"""Students completed from given statistics: exactly theirs, uniform among those who have them, in random order."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nestbench.sim.observed.batch import Batch, Floats, Ints, offsets_of
from nestbench.sim.observed.completing import complete
from nestbench.sim.observed.strata import Strata, StrataColumns
from nestbench.sim.streams import StreamSource


def given(counts: list[int], schools: list[int], replications: int, seed: int = 0, rank: int = 2) -> Strata:
    """Strata of any means and factors, `schools` with how many each."""
    rng = np.random.default_rng(seed)
    count = np.tile(np.array(counts), replications)
    factor = rng.normal(size=(len(count), 2, rank))
    for t, n in enumerate(count):
        factor[t, :, max(n - 1, 0) :] = 0.0
    label = rng.normal(size=len(count))
    offsets = offsets_of(np.tile(np.array(schools), replications))
    mean = 50.0 + 5.0 * rng.normal(size=(len(count), 2))
    return Strata(("x", "label", "y"), {"label": label}, ("x", "y"), offsets, count, mean, factor)


def batch_of(strata: Strata, schools: int, replications: Ints) -> Batch:
    streams, first = StreamSource(1, "k"), np.arange(len(replications) + 1, dtype=np.int64) * schools
    columns = StrataColumns(strata, first, replications, streams)
    return Batch(columns, "school", offsets_of(strata.sizes), first, replications, streams)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_rows_have_the_statistics(rank: int) -> None:
    strata = given([3, 0, 1, 2, 40, 2000, 5], [3, 2, 2], 4, rank=rank)
    batch = batch_of(strata, 3, np.arange(4))
    values = np.stack([np.asarray(batch.columns[name]) for name in ("x", "y")])
    label = np.asarray(batch.columns["label"])
    for t, n in enumerate(strata.count):
        rows = values[:, label == strata.constants["label"][t]]  # type: ignore[index]
        assert rows.shape[1] == n
        if n:
            np.testing.assert_allclose(rows.mean(axis=1), strata.mean[t], rtol=1e-13)
            deviations = rows - strata.mean[t][:, None]
            scatter = strata.factor[t] @ strata.factor[t].T
            np.testing.assert_allclose(deviations @ deviations.T, scatter, rtol=1e-12, atol=1e-12)


def test_parts_of_a_batch_are_completed_alike() -> None:
    strata = given([4, 3, 6], [2, 1], 5)
    batch = batch_of(strata, 2, np.array([3, 9, 1, 0, 4]))
    part = batch.take([4, 1])
    rows = [batch.replication(r).rows for r in (4, 1)]
    for name in ("x", "label", "y"):
        whole = np.asarray(batch.columns[name])
        np.testing.assert_array_equal(part.columns[name], np.concatenate([whole[r] for r in rows]))
    assert not batch_of(strata, 2, np.arange(5)).columns._made  # type: ignore[attr-defined]


def frames(n: int, times: int) -> Floats:
    """Q of `times` strata of n students [times, 2, n]: mean 0, scatter I."""
    count = np.full(times, n)
    values, stratum = complete(
        offsets_of(np.ones(times)),
        count,
        np.zeros((times, 2)),
        np.tile(np.eye(2), (times, 1, 1)),
        np.array([0, times]),
        np.arange(1),
        StreamSource(4, "q"),
    )
    assert (stratum == np.repeat(np.arange(times), n)).all()
    return values.reshape(2, times, n).swapaxes(0, 1)


@pytest.mark.parametrize("n", [3, 4, 7])
def test_frames_are_uniform(n: int) -> None:
    """A coordinate of Q along a contrast has the law of one of a uniform unit vector in n - 1 dimensions: its square is
    Beta(1/2, (n - 2)/2), its sign a coin; the same of any mixture of Q's columns, and of both (KS, 1e-6 each)."""
    q = frames(n, 4000)
    first, second = np.zeros(n), np.zeros(n)
    first[:2] = np.array([1.0, -1.0]) / np.sqrt(2)
    second[:3] = np.array([1.0, 1.0, -2.0]) / np.sqrt(6)
    law = stats.beta(0.5, (n - 2) / 2)
    mixture = np.array([0.6, -0.8])
    for values in (q[:, 0] @ first, q[:, 1] @ second, (mixture @ q) @ first):
        assert stats.kstest(values**2, law.cdf).pvalue > 1e-6
        assert abs(np.sign(values).mean()) < 4.9 / np.sqrt(len(values))
    if n > 3:  # the trace of a projection on two of n - 1 dimensions onto one: Beta(1, (n - 3) / 2)
        both = (q[:, 0] @ first) ** 2 + (q[:, 1] @ first) ** 2
        assert stats.kstest(both, stats.beta(1.0, (n - 3) / 2).cdf).pvalue > 1e-6
    else:  # two dimensions: either rotation or reflection
        turned = np.sign(np.linalg.det(np.stack([q @ first, q @ second], axis=1)))
        assert abs(turned.mean()) < 4.9 / np.sqrt(len(turned))


def test_students_of_a_school_stand_in_random_order() -> None:
    """Each of the 10 places of two among five as often (chi-square, 1e-6)."""
    strata = given([2, 3], [2], 3000)
    batch = batch_of(strata, 1, np.arange(3000))
    label = np.asarray(batch.columns["label"]).reshape(-1, 5)
    twos = label == np.asarray(strata.constants["label"])[::2, None]
    assert (twos.sum(axis=1) == 2).all()
    places = np.unique(twos @ (2 ** np.arange(5)), return_counts=True)[1]
    assert len(places) == 10
    assert stats.chisquare(places).pvalue > 1e-6
