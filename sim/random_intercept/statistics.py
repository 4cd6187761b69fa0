"""The same population in a time that depends on schools alone: not students, the statistics of strata are drawn.

Students of a school who share gender, and class and treatment where these are students', form a stratum: all else of
theirs is constant but age and the residual e, which are independent normals, whatever the school's values are. So

- genders: of n_c students of a class and arm, Binomial(n_c, male_share) are male;
- means: of n students, age ~ N(base, s^2 / n) and e ~ N(0, t^2 / n), independent of
- the scatter about them, Wishart with n - 1 degrees of freedom, by its Cholesky factor (Bartlett; Smith & Hocking
  1972):

      L = diag(s, t) [[sqrt(c1), 0], [z, sqrt(c2)]],    c1 ~ chi^2(n - 1),  c2 ~ chi^2(n - 2),  z ~ N(0, 1),

  which holds for two students (c2 = 0: two deviations lie on a line) and, with z = 0, for one.

The grade is affine in age and e within a stratum, a + b age + e: its mean is a + b mean(age) + mean(e), its row of the
factor b L_age + L_e. Every cross-product of columns that are affine there follows; nothing is approximate.

What must hold is a property of the population (`allows`): residuals are normal with a variance that is constant within
strata, and who is missing is so completely at random (`nestbench.sim.random_intercept.thinning`). Schools' values may
have any shape, as they are drawn one by one.

The "data" stream gives, in this order: standard normals, three a stratum (age, e, z), those that chi-squares are made
of, two a school (effect, resources); uniforms for the chi-squares; the numbers of boys.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.compiled import kernel
from nestbench.sim.normals import fill
from nestbench.sim.observed.batch import Batch, Category, Column, Floats, Ints, labels_of, offsets_of
from nestbench.sim.observed.strata import Strata, StrataColumns
from nestbench.sim.random_intercept.binomials import binomials, invertible
from nestbench.sim.random_intercept.chi_squares import chi_squares, tries_for
from nestbench.sim.random_intercept.draw import GENDERS, Piece, Schools
from nestbench.sim.random_intercept.parameters import Parameters
from nestbench.sim.random_intercept.schools import (
    arm_variances,
    relative_sizes,
    school_values,
    treatment_effects,
)
from nestbench.sim.random_intercept.shocks import shock
from nestbench.sim.random_intercept.sizes import draw_sizes
from nestbench.sim.random_intercept.thinning import Mask, keep_schools, seen_of
from nestbench.sim.random_intercept.treatment import block_column
from nestbench.sim.streams import StreamSource, Words


def allows(law: Parameters) -> bool:
    """Whether strata have the statistics above: normal residuals whose variance doesn't depend on age, and students
    who are missing, if any, completely at random."""
    return not why_not(law)


def why_not(law: Parameters) -> str:
    """Return why strata don't have the statistics above; empty where they have."""
    if not shock("population.residual_shape", law.residual_shape).normal:
        return f"residuals are {law.residual_shape}"
    if law.residual_age or law.residual_proportional:
        return "the residual variance depends on age"
    if law.missing and law.missing_age:
        return "who is missing depends on age"
    if law.missing and law.effect("school_age"):
        return "the mean age of all students has an effect, missing ones among them"
    return ""


def strata_of_layout(layout: Layout) -> int:
    """Return how many strata a data set has: two genders in each class and arm of each school."""
    return 2 * layout.schools * max(layout.classes, 1) * (2 if layout.assignment == "students" else 1)


def draw_statistics(law: Parameters, layout: Layout, streams: StreamSource, replications: range) -> Batch:
    """Draw the observed data of some replications by their strata; `allows` must hold."""
    sizes, size_z = draw_sizes(layout, streams, replications)
    cells = seen_of(law, cells_of(layout, streams, replications, sizes), streams, replications)
    drawn = draw_numbers(cells, streams, replications, law.male_share)
    starts = np.arange(len(replications) + 1, dtype=np.int64) * drawn.z.shape[1]
    piece = Piece(replications, sizes, drawn.z.ravel(), starts)
    schools = school_values(law, layout, streams, piece, size_z)
    gain = treatment_effects(law, layout, streams, piece)
    effect, teacher = class_effects(law, layout, streams, replications)
    stay = keep_schools(law, layout, schools.resources, drawn.count, drawn.chi2, streams, replications)
    strata = cells.shape[2] * cells.shape[3] * 2
    mean, factor = np.empty((drawn.count.size, 2)), np.empty((drawn.count.size, 2, 2))
    fill_strata(
        drawn.count.reshape(-1, *cells.shape[2:], 2),
        drawn.z,
        drawn.chi2,
        schools.age_base,
        schools.age_sd,
        schools.intercept,
        schools.age_effect,
        schools.gender_effect,
        schools.residual_sd,
        gain,
        effect,
        np.array([law.effect("age:treated"), law.effect("gender:treated"), law.effect("school_age")]),
        arm_factors(law, layout),
        mean,
        factor,
    )
    constants = constants_of(law, layout, sizes, schools, teacher, cells.shape[2:])
    names = tuple(constants)
    offsets = offsets_of(np.full(sizes.size, strata))
    given = Strata(
        ("grade", "age", *names), constants, ("age", "grade"), offsets, drawn.count.ravel(), mean, factor
    )
    return batch_of_strata(given, stay, streams, np.asarray(replications, dtype=np.int64))


def batch_of_strata(given: Strata, stay: Mask, streams: StreamSource, numbers: Ints) -> Batch:
    """Return the batch of the schools that stay [R, G], with the labels they have among all."""
    labels, first = None, offsets_of(stay.sum(axis=1))
    if not stay.all():
        given = given.take(np.flatnonzero(stay))
        all_labels = np.array(labels_of(stay.shape[1]))
        labels = tuple(all_labels[np.nonzero(stay)[1]].tolist())
    return Batch(
        columns=StrataColumns(given, first, numbers, streams),
        group="school",
        school_offsets=offsets_of(given.sizes),
        replication_offsets=first,
        replications=numbers,
        streams=streams,
        school_labels=labels,
    )


def cells_of(layout: Layout, streams: StreamSource, replications: range, sizes: Ints) -> Ints:
    """Return how many students are in each class and arm, int64 [R, G, classes, arms]; one class or arm where students
    have none.

    Student i of n is in class floor(i k / n) of k; of the first i students floor(i share + U) are treated, U uniform,
    one a school.
    """
    if not layout.classes and layout.assignment != "students":
        return np.ascontiguousarray(sizes)[..., None, None]
    k = max(layout.classes, 1)
    edges = -(-np.arange(k + 1) * sizes[..., None] // k)
    whole = np.diff(edges, axis=-1)
    if layout.assignment != "students":
        return np.ascontiguousarray(whole[..., None])
    start = np.stack([streams.at(r, "treatment").random(layout.schools) for r in replications])
    share = float(layout.treated_share or 0.0)
    treated = np.diff(np.floor(edges * share + start[..., None]).astype(np.int64), axis=-1)
    treated = np.clip(treated, 0, whole)
    return np.stack([whole - treated, treated], axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """What is drawn of T' strata a replication, girls before boys in each class and arm.

    Attributes
    ----------
    count : int64 [R, T']
        Students.
    z : float64 [R, w]
        Standard normals: three a stratum, those that chi-squares were tried with, two a school.
    chi2 : float64 [R, 2 T']
        Chi-squares with n - 1 and n - 2 degrees of freedom (at least 0) of each stratum of n.
    """

    count: Ints
    z: Floats
    chi2: Floats


def draw_numbers(cells: Ints, streams: StreamSource, replications: range, male_share: float) -> Numbers:
    """Draw the numbers of some replications."""
    flat = cells.reshape(len(cells), -1)
    strata, schools = 2 * flat.shape[1], cells.shape[1]
    tries = tries_for(2 * strata)
    width = 3 * strata + tries + 2 * schools
    z, u = np.empty((len(cells), width)), np.empty((len(cells), tries))
    states = streams.states(replications, "data")
    fill(streams, states, z.reshape(-1), np.arange(len(cells) + 1, dtype=np.int64) * width, u)
    boys = _binomials(flat, male_share, streams, states)
    count = np.stack([flat - boys, boys], axis=2).reshape(len(cells), strata)
    df = (count[..., None] - np.array([1, 2])).reshape(len(cells), -1)
    tried = z[:, 3 * strata : 3 * strata + tries]
    return Numbers(count, z, chi_squares(df, tried, u, streams, replications))


def _binomials(n: Ints, p: float, streams: StreamSource, states: Words) -> Ints:
    """Return the next numbers of streams [R, 4] that are Binomial(n, p), int64 [R, k]."""
    if not invertible(int(n.max(initial=0)), p):
        return _binomials_by_numpy(n, p, streams, states)
    u, ends = np.empty(n.shape), states.copy()
    fill(streams, ends, np.empty(0), np.zeros(len(n) + 1, dtype=np.int64), u)
    drawn, short = binomials(n, p, u)
    if len(short):
        drawn[short] = _binomials_by_numpy(n[short], p, streams, states[short])
    return drawn


def _binomials_by_numpy(n: Ints, p: float, streams: StreamSource, states: Words) -> Ints:
    """Return what `_binomials` does, of any n."""
    drawn = np.empty_like(n)
    equal = (n == n[:, :1]).all(axis=1).tolist()
    for i, same in enumerate(equal):
        # Given once, NumPy draws the same numbers in a third of the time, and in less where it isn't an array's.
        how = (int(n[i, 0]), p, n.shape[1]) if same else (n[i], p)
        drawn[i] = streams.resumed(states[i]).binomial(*how)
    return drawn


def class_effects(
    law: Parameters, layout: Layout, streams: StreamSource, replications: range
) -> tuple[Floats, Floats]:
    """Return what classes add to grades [R * G, classes] and their teachers; zeros where there are none."""
    if not layout.classes:
        return np.zeros((len(replications) * layout.schools, 1)), np.zeros(0)
    size = (2, layout.schools * layout.classes)
    z = np.stack([streams.at(r, "classes").standard_normal(size) for r in replications], axis=1)
    effect, teacher = z.reshape(2, -1, layout.classes)
    return law.class_sd * effect + law.effect("teacher") * teacher, teacher.ravel()


def arm_factors(law: Parameters, layout: Layout) -> Floats:
    """Return the factors on the residual SD of untreated and treated students of one school [2]."""
    if layout.assignment != "students" or law.treated_variance_ratio == 1.0:
        return np.ones(2)
    return np.sqrt(arm_variances(1.0, law.treated_variance_ratio, layout.treated_part))


def constants_of(
    law: Parameters,
    layout: Layout,
    sizes: Ints,
    schools: Schools,
    teacher: Floats,
    shape: tuple[int, ...],
) -> dict[str, Column]:
    """Return the columns that are constant within strata [T], in the order of the data; `shape` is (classes, arms)."""
    k, arms = shape
    strata = 2 * k * arms
    treated = np.repeat(schools.treated, strata)
    if arms > 1:
        treated = np.tile([0.0, 0.0, 1.0, 1.0], k * sizes.size)
    columns: dict[str, Column] = {
        "gender": Category(np.tile(np.arange(2, dtype=np.int32), k * arms * sizes.size), GENDERS),
        "resources": np.repeat(schools.resources, strata),
        "treated": treated,
    }
    if layout.classes:
        names = tuple(f"C{c + 1:0{len(str(k))}d}" for c in range(k))
        columns["class"] = Category(
            np.tile(np.repeat(np.arange(k, dtype=np.int32), 2 * arms), sizes.size), names
        )
        columns["teacher"] = np.repeat(teacher, 2 * arms)
    if law.effect("size") or law.effect("treated:size"):
        columns["size"] = np.repeat(relative_sizes(layout, sizes.ravel()), strata)
    if layout.blocked_by:
        name, column = block_column(layout, schools.resources, strata)
        columns[name] = column
    return columns


@kernel
def fill_strata(
    count: Any,
    z: Any,
    chi2: Any,
    age_base: Any,
    age_sd: float,
    intercept: Any,
    age_effect: Any,
    gender_effect: Any,
    residual_sd: Any,
    gain: Any,
    class_effect: Any,
    effects: Any,
    arm: Any,
    mean: Any,
    factor: Any,
) -> None:
    """Write means [T, 2] and factors [T, 2, 2] of (age, grade).

    Parameters
    ----------
    count : int64 [R * G, classes, arms, 2]
    z : float64 [R, at least 3 T'], chi2 : float64 [R, 2 T']
        Standard normals (age, e, z) and chi-squares (c1, c2), stratum by stratum.
    age_base, intercept, age_effect, gender_effect, residual_sd, gain : float64 [R * G]
        Of schools; `gain` is what treatment of a student adds.
    class_effect : float64 [R * G, classes]
    effects : float64 [3]
        Of age:treated and gender:treated for treated students, and of the school's mean age.
    arm : float64 [2]
        Factors on the residual SD of untreated and treated students.
    """
    t = 0
    schools = count.shape[0] // z.shape[0]
    for s in range(count.shape[0]):
        r, start, students, ages = s // schools, t, 0, 0.0
        first = r * schools * count.shape[1] * count.shape[2] * 2
        for c in range(count.shape[1]):
            for a in range(count.shape[2]):
                for male in range(2):
                    n, k = count[s, c, a, male], t - first
                    constant = intercept[s] + class_effect[s, c] + a * gain[s]
                    constant += male * (gender_effect[s] + a * effects[1])
                    slope, sd = age_effect[s] + a * effects[0], residual_sd[s] * arm[a]
                    _stratum(
                        n,
                        constant,
                        slope,
                        sd,
                        age_base[s],
                        age_sd,
                        z[r, 3 * k : 3 * k + 3],
                        chi2[r, 2 * k : 2 * k + 2],
                        mean[t],
                        factor[t],
                    )
                    students += n
                    ages += n * mean[t, 0]
                    t += 1
        for k in range(start, t):
            mean[k, 1] += effects[2] * (ages / max(students, 1))


@kernel
def _stratum(
    n: int,
    constant: float,
    slope: float,
    sd: float,
    age_base: float,
    age_sd: float,
    z: Any,
    chi2: Any,
    mean: Any,
    factor: Any,
) -> None:
    """Write one stratum's mean and factor of (age, grade), grade = constant + slope age + e."""
    root = math.sqrt(max(n, 1))
    mean[0] = age_base + age_sd * z[0] / root
    mean[1] = constant + slope * mean[0] + sd * z[1] / root
    factor[0, 0], factor[0, 1] = age_sd * math.sqrt(chi2[0]), 0.0
    factor[1, 0] = slope * factor[0, 0] + (sd * z[2] if n > 1 else 0.0)
    factor[1, 1] = sd * math.sqrt(chi2[1])
