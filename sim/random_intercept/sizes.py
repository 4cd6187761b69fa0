"""Sizes of schools, drawn from the stream "sizes" where they are random.

With informative sizes the standardised log size correlates with the school effect; see
`RandomIntercept.size_correlation`.
"""

from __future__ import annotations

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.streams import StreamSource


def draw_sizes(layout: Layout, streams: StreamSource, replications: range) -> tuple[Ints, Floats | None]:
    """Return the students per school, int64 [R, G], and the standard normals behind lognormal sizes [R, G] or
    None.

    Parameters
    ----------
    layout : Layout
    streams : StreamSource
    replications : range

    Returns
    -------
    sizes : int64 [R, G]
    normals : float64 [R, G] or None
        Kept, because school effects may correlate with size (`size_correlation`).
    """
    shape = (len(replications), layout.schools)
    if not layout.random_sizes:
        return np.broadcast_to(layout.sizes(), shape), None
    sizes = np.empty(shape, dtype=np.int64)
    z = np.empty(shape) if layout.size_cv else None
    for i, r in enumerate(replications):
        generator = streams.at(r, "sizes")
        if z is not None:
            z[i] = generator.standard_normal(layout.schools)
            sizes[i] = lognormal_sizes(z[i], layout.mean_size, layout.size_cv)
        else:
            sizes[i] = _uniform_sizes(layout, generator)
        if layout.shuffle_sizes:
            order = generator.permutation(layout.schools)
            sizes[i] = sizes[i, order]
            if z is not None:
                z[i] = z[i, order]
    return sizes, z


def lognormal_sizes(z: Floats, mean: float, cv: float) -> Ints:
    """Return max(1, round(mean exp(s z - s^2 / 2))) with s^2 = log(1 + cv^2): mean `mean`, SD cv times that."""
    s2 = np.log1p(cv * cv)
    sizes = np.rint(mean * np.exp(np.sqrt(s2) * z - 0.5 * s2))
    return np.asarray(np.maximum(1, sizes), dtype=np.int64)


def uniform_range(layout: Layout) -> tuple[int, int]:
    """Return the smallest and the largest of uniform sizes."""
    if layout.size_range is not None:
        return layout.size_range
    low = max(1, round(layout.mean_size * (1.0 - layout.size_spread)))
    return low, round(layout.mean_size * (1.0 + layout.size_spread))


def _uniform_sizes(layout: Layout, generator: np.random.Generator) -> Ints:
    """Return school sizes drawn uniformly between bounds, or the layout's own where it has no spread."""
    if layout.size_range is None and not layout.size_spread:
        return layout.sizes()
    low, high = uniform_range(layout)
    return np.asarray(generator.integers(low, high, size=layout.schools, endpoint=True), dtype=np.int64)
