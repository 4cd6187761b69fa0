"""What the analyst doesn't see, by counts: students missing completely at random, and schools that drop out.

Who is missing completely at random depends on nothing, so those seen of n students of a class and arm are
Binomial(n, 1 - missing) students like any others. (Where it depends on age, or where the mean age of all students of a
school has an effect, students are needed: `nestbench.sim.random_intercept.missingness`.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.random_intercept.missingness import dropped
from nestbench.sim.random_intercept.parameters import Parameters
from nestbench.sim.streams import StreamSource

Mask = npt.NDArray[np.bool_]


def seen_of(law: Parameters, cells: Ints, streams: StreamSource, replications: range) -> Ints:
    """Return how many students are seen of those in each class and arm, int64 [R, G, classes, arms] as given."""
    if not law.missing:
        return cells
    drawn = [
        streams.at(r, "missing").binomial(n, 1.0 - law.missing)
        for r, n in zip(replications, cells, strict=True)
    ]
    return np.stack(drawn)


def keep_schools(
    law: Parameters,
    layout: Layout,
    resources: Floats,
    count: Ints,
    chi2: Floats,
    streams: StreamSource,
    replications: range,
) -> Mask:
    """Return which schools have students who are seen [R, G].

    Where nobody at all would be left of a replication, its first student stays: `count` [R, T'] and `chi2` [R, 2 T']
    are then those of this student alone.
    """
    if not law.missing and not law.missing_schools:
        return np.ones((len(count), layout.schools), dtype=np.bool_)
    stay = np.asarray(count.reshape(len(count), layout.schools, -1).sum(axis=2) > 0)
    if law.missing_schools:
        for i, r in enumerate(replications):
            stay[i, dropped(law, resources.reshape(stay.shape)[i], streams, r)] = False
    for i in np.flatnonzero(~stay.any(axis=1)).tolist():
        stay[i, 0] = True
        count[i], chi2[i] = 0, 0.0
        count[i, _first_student(law, layout, streams, replications[i])] = 1
    return stay


def _first_student(law: Parameters, layout: Layout, streams: StreamSource, number: int) -> int:
    """Return the stratum of the first student of the first school: in the first class, in an arm as any first student,
    a girl or a boy."""
    treated = 0
    if layout.assignment == "students":
        start = streams.at(number, "treatment").random(layout.schools)[0]
        treated = int(np.floor(float(layout.treated_share or 0.0) + start))
    return 2 * treated + int(streams.at(number, "someone").random() < law.male_share)
