"""What differs between students of one school beyond the kernel's equation: shapes of residuals, treatment of
students, classes, and the effect of the school's mean age. Each is skipped at its default.
"""

from __future__ import annotations

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Category, Column, Floats, Ints, offsets_of
from nestbench.sim.random_intercept.draw import Piece, Schools
from nestbench.sim.random_intercept.parameters import Parameters
from nestbench.sim.random_intercept.schools import arm_variances, relative_sizes, treatment_effects
from nestbench.sim.random_intercept.shocks import shock
from nestbench.sim.random_intercept.treatment import block_column
from nestbench.sim.streams import StreamSource


def shape_residuals(
    law: Parameters, layout: Layout, streams: StreamSource, piece: Piece, treated: Floats | None
) -> None:
    """Turn the residuals' standard normals of a piece into the population's standardised residuals, in place.

    With `residual_age` = h the variance is multiplied by exp(h z - h^2 / 2) for standardised age z, mean 1; `treated`
    are the piece's treated students where treatment is theirs.
    """
    shape = shock("population.residual_shape", law.residual_shape)
    by_arm = treated is not None and law.treated_variance_ratio != 1.0
    if shape.normal and not law.residual_age and not by_arm:
        return
    rows = offsets_of(piece.sizes.sum(axis=1))
    for i, r in enumerate(piece.replications):
        n, start = int(rows[i + 1] - rows[i]), int(piece.starts[i])
        # A view: `fill_columns` reads the residuals from the piece.
        e = piece.z[start + 2 * n : start + 3 * n]
        e[:] = shape.of(e, streams.at(r, "residual_shape"))
        if law.residual_age:
            e *= np.exp(0.5 * law.residual_age * piece.z[start : start + n] - 0.25 * law.residual_age**2)
        if by_arm and treated is not None:
            control, arm = arm_variances(1.0, law.treated_variance_ratio, layout.treated_part)
            e *= np.where(treated[rows[i] : rows[i + 1]] > 0, np.sqrt(arm), np.sqrt(control))


def proportion_residuals(law: Parameters, piece: Piece, schools: Schools) -> None:
    """Multiply the residuals of a piece by sqrt(1 - w + w z^2), w = `residual_proportional`, z the standardised age
    about the population's mean, in place."""
    counts = piece.sizes.ravel()
    base, rows = np.repeat(schools.age_base, counts), offsets_of(piece.sizes.sum(axis=1))
    for i, start in enumerate(piece.starts[:-1]):
        n = int(rows[i + 1] - rows[i])
        age = base[rows[i] : rows[i + 1]] + schools.age_sd * piece.z[start : start + n]
        piece.z[start + 2 * n : start + 3 * n] *= np.sqrt(proportional_variance(law, age))


def proportional_variance(law: Parameters, age: Floats) -> Floats:
    """Return 1 - w + w z^2, the factor on the residual variance at an age, w = `residual_proportional`."""
    w, z = law.residual_proportional, (age - law.age_mean) / law.age_sd
    return np.asarray(1.0 - w + w * z * z)


def finish_columns(
    law: Parameters,
    layout: Layout,
    streams: StreamSource,
    replications: range,
    columns: dict[str, Column],
    sizes: Ints,
    treated: Floats | None,
) -> None:
    """Add what the kernel doesn't know, in place: treated students, the effect of mean age, classes, extra
    columns.

    Parameters
    ----------
    law : Parameters
    layout : Layout
    streams : StreamSource
    replications : range
    columns : dict of str to Column
        Changed.
    sizes : int64 [R, G]
    treated : float64 [N] or None
        Treated students, where students and not schools are assigned.
    """
    if treated is not None:
        whole = Piece(replications, sizes, np.empty(0), np.empty(0, dtype=np.int64))
        treat_students(law, columns, treated, treatment_effects(law, layout, streams, whole), sizes)
    if law.effect("school_age"):
        add_school_age(law, columns, sizes)
    if layout.classes:
        add_classes(law, layout, streams, replications, columns, sizes)
    counts = sizes.ravel()
    if law.effect("size") or law.effect("treated:size"):
        columns["size"] = np.repeat(relative_sizes(layout, counts), counts)
    if layout.blocked_by:
        first = offsets_of(counts)[:-1]
        name, column = block_column(layout, _floats(columns["resources"])[first], counts)
        columns[name] = column


def treat_students(
    law: Parameters, columns: dict[str, Column], treated: Floats, effects: Floats, sizes: Ints
) -> None:
    """Give treated students [N] their school's effect [R * G], in place."""
    grade, age = _floats(columns["grade"]), _floats(columns["age"])
    gain = np.repeat(effects, sizes.ravel()) + law.effect("age:treated") * age
    gain += law.effect("gender:treated") * _codes(columns["gender"])
    grade += gain * treated
    _floats(columns["treated"])[:] = treated


def add_school_age(law: Parameters, columns: dict[str, Column], sizes: Ints) -> None:
    """Add the effect of the school's mean age, in place."""
    counts = sizes.ravel()
    means = np.add.reduceat(_floats(columns["age"]), offsets_of(counts)[:-1]) / counts
    grade = _floats(columns["grade"])
    grade += np.repeat(law.effect("school_age") * means, counts)


def add_classes(
    law: Parameters,
    layout: Layout,
    streams: StreamSource,
    replications: range,
    columns: dict[str, Column],
    sizes: Ints,
) -> None:
    """Deal students to classes, add class effects and the teacher's, and the columns `class` and `teacher`.

    Students are split in the order of their rows into classes whose sizes differ by one at most. `teacher` is a
    standard normal covariate of the class.
    """
    k, counts = layout.classes, sizes.ravel()
    z = np.stack(
        [streams.at(r, "classes").standard_normal((2, layout.schools * k)) for r in replications], axis=1
    )
    first = np.repeat(offsets_of(counts)[:-1], counts)
    codes = (np.arange(len(first)) - first) * k // np.repeat(counts, counts)
    index = np.repeat(np.arange(len(counts)) * k, counts) + codes
    effect, teacher = z.reshape(2, -1)
    grade = _floats(columns["grade"])
    grade += (law.class_sd * effect + law.effect("teacher") * teacher)[index]
    width = len(str(k))
    columns["class"] = Category(codes.astype(np.int32), tuple(f"C{c + 1:0{width}d}" for c in range(k)))
    columns["teacher"] = np.ascontiguousarray(teacher[index])


def _floats(column: Column) -> Floats:
    """Return a column of numbers."""
    assert not isinstance(column, Category)
    return column


def _codes(column: Column) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Return the codes of a column of labels."""
    assert isinstance(column, Category)
    return column.codes
