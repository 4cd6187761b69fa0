"""Drawing a batch: one stream a replication, then one kernel for all.

The "data" stream of a replication gives its 3N + 2G standard normals and nothing else. Whatever a parameter adds
comes from a stream of another purpose, so a population with a parameter at its default draws the same numbers as one
without it. Replications are drawn in pieces that fit the cache; every value depends on its own replication alone,
so the pieces can't be seen in the data.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from nestbench.sim.normals import fill
from nestbench.sim.observed.batch import Batch, Category, Column, Floats, Ints, offsets_of
from nestbench.sim.random_intercept.fill import fill_columns
from nestbench.sim.streams import StreamSource

PIECE = 1 << 17
"""Standard normals drawn before the kernel runs (1 MiB: they stay in the cache)."""

_LOCAL = threading.local()

GENDERS = ("female", "male")


@dataclass(frozen=True, slots=True, eq=False)
class Schools:
    """What a school's students share: one value for each of S schools, float64 [S] each.

    A student's grade is ``intercept + age_effect * age + gender_effect * male + residual_sd * e``; their age
    ``age_base + age_sd * a`` (`age_sd` is the same for all).
    """

    age_base: Floats
    age_sd: float
    intercept: Floats
    age_effect: Floats
    gender_effect: Floats
    residual_sd: Floats
    resources: Floats
    treated: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Some replications' standard normals: `z`, replication r from ``starts[r]``, and the sizes [R, G]."""

    replications: range
    sizes: Ints
    z: Floats
    starts: Ints

    def of_schools(self) -> tuple[Floats, Floats]:
        """Return the schools' normals, for the school effect and for resources, [R * G] each."""
        schools = self.sizes.shape[1]
        rows = self.starts[1:, None] - 2 * schools + np.arange(schools)
        return self.z.take(rows).ravel(), self.z.take(rows + schools).ravel()


Builder = Callable[[Piece, int, slice], Schools]
"""``build(piece, first, rows)``: `first` is the position of the piece's first replication, `rows` are its rows."""


def draw_columns(
    sizes: Ints, streams: StreamSource, replications: range, gender_cut: float, build: Builder
) -> dict[str, Column]:
    """Draw grade, age, gender, resources and treated, each of length N.

    Parameters
    ----------
    sizes : int64 [R, G]
        Students per school in each replication.
    gender_cut : float
        A student is male where a standard normal exceeds it.
    build : callable
        Makes the schools' values from a piece's normals.
    """
    row_offsets = offsets_of(sizes.sum(axis=1))
    # One allocation for all columns: freed and allocated as one, malloc keeps its pages; five would fault them in anew.
    n = int(row_offsets[-1])
    grade, age, resources, treated, codes = np.empty((5, n))
    # The fifth row's memory as integers of half the size.
    male = codes.view(np.int32)[:n]
    for piece, first in _pieces(sizes, streams, replications):
        rows = slice(int(row_offsets[first]), int(row_offsets[first + len(piece.sizes)]))
        schools = build(piece, first, rows)
        fill_columns(
            piece.z,
            piece.starts,
            offsets_of(piece.sizes.ravel()),
            np.arange(len(piece.sizes) + 1, dtype=np.int64) * piece.sizes.shape[1],
            gender_cut,
            schools.age_sd,
            schools.age_base,
            schools.intercept,
            schools.age_effect,
            schools.gender_effect,
            schools.residual_sd,
            schools.resources,
            schools.treated,
            grade[rows],
            age[rows],
            male[rows],
            resources[rows],
            treated[rows],
        )
    return {
        "grade": grade,
        "age": age,
        "gender": Category(male, GENDERS),
        "resources": resources,
        "treated": treated,
    }


def batch_of_columns(
    columns: dict[str, Column], sizes: Ints, streams: StreamSource, replications: range
) -> Batch:
    """Return the batch of columns drawn for schools of `sizes` [R, G].

    Parameters
    ----------
    columns : dict of str to Column
        Long, rows by replication, school and student.
    sizes : int64 [R, G]
    streams : StreamSource
        Goes with the batch: bootstraps draw from the same source, for another purpose.
    replications : range
    """
    return Batch(
        columns=columns,
        group="school",
        school_offsets=offsets_of(sizes.ravel()),
        replication_offsets=np.arange(len(sizes) + 1, dtype=np.int64) * sizes.shape[1],
        replications=np.asarray(replications, dtype=np.int64),
        streams=streams,
    )


def _pieces(sizes: Ints, streams: StreamSource, replications: range) -> Iterator[tuple[Piece, int]]:
    """Yield pieces of replications whose normals fit into the cache together, and where each begins."""
    widths = 3 * sizes.sum(axis=1) + 2 * sizes.shape[1]
    first = 0
    while first < len(replications):
        last = first + 1
        total = int(widths[first])
        while last < len(replications) and total + widths[last] <= PIECE:
            total += int(widths[last])
            last += 1
        starts = offsets_of(widths[first:last])
        buffer = _scratch(total)
        states = streams.states(replications[first:last], "data")
        fill(streams, states, buffer, starts, np.empty((last - first, 0)))
        # The buffer is the next piece's as well: a piece is used up before another is asked for.
        yield Piece(replications[first:last], sizes[first:last], buffer, starts), first
        first = last


def _scratch(size: int) -> Floats:
    """Return this thread's buffer, kept between calls: fresh pages cost as much as the numbers written to them."""
    buffer: Floats | None = getattr(_LOCAL, "buffer", None)
    if buffer is None or len(buffer) < size:
        buffer = _LOCAL.buffer = np.empty(size)
    return buffer


def constant(value: float, schools: int) -> Floats:
    """Return one value for every school."""
    return np.full(schools, value)
