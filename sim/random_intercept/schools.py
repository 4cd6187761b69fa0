"""The schools' values of a random-intercept population: what `nestbench.sim.random_intercept.fill` needs, one value a
school.

Each part draws from a stream of its own purpose and is skipped at its default, so that parameters left alone leave
every other number as it was. All are elementwise on [R * G] arrays: no value depends on which replications are
drawn together.
"""

from __future__ import annotations

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.random_intercept.draw import Piece, Schools, constant
from nestbench.sim.random_intercept.parameters import Parameters
from nestbench.sim.random_intercept.shocks import shock
from nestbench.sim.random_intercept.treatment import treated_schools
from nestbench.sim.streams import StreamSource


def school_values(
    law: Parameters, layout: Layout, streams: StreamSource, piece: Piece, size_z: Floats | None
) -> Schools:
    """Return the schools' values of some replications; `size_z` [R, G] are the normals behind lognormal sizes.

    Each part draws from the stream of its own purpose. A parameter that is switched on therefore leaves the draws of
    all others as they were, and two conditions that differ in it alone can be compared draw by draw.

    Parameters
    ----------
    law : Parameters
    layout : Layout
    streams : StreamSource
    piece : Piece
        Some replications that are filled together.
    size_z : float64 [R, G] or None
    """
    school_z, resources_z = piece.of_schools()
    u = _school_effects(law, streams, piece, school_z, size_z)
    resources = law.resources_sd * _resources(law, streams, piece, resources_z, u)
    treated = treated_schools(layout, streams, piece.replications, resources)
    school_sd, residual_sd = _spreads(law, layout, streams, piece, treated)
    if law.school_sd_resources:
        school_sd = school_sd * spread_by_resources(law, law.school_sd_resources, resources)
    slope, centred = _age_effects(law, streams, piece, resources, treated, u)
    intercept = law.effect("Intercept") + law.effect("resources") * resources
    intercept = intercept + treatment_effects(law, layout, streams, piece) * treated + school_sd * u
    if law.effect("size"):
        intercept = intercept + law.effect("size") * relative_sizes(layout, piece.sizes.ravel())
    return Schools(
        age_base=_age_means(law, streams, piece, u),
        age_sd=law.age_sd * float(np.sqrt(1.0 - law.age_icc)),
        intercept=intercept - law.age_mean * centred,
        age_effect=slope,
        gender_effect=law.effect("gender") + law.effect("gender:treated") * treated,
        residual_sd=residual_sd,
        resources=resources,
        treated=treated,
    )


def relative_sizes(layout: Layout, sizes: Ints) -> Floats:
    """Return (n - mean) / mean of the schools' sizes n, against the layout's mean size."""
    return np.asarray((sizes - layout.mean_size) / layout.mean_size, dtype=np.float64)


def treatment_effects(law: Parameters, layout: Layout, streams: StreamSource, piece: Piece) -> Floats:
    """Return the effect of treatment in each school: mean, its part by relative size, and random deviations.

    Parameters
    ----------
    law : Parameters
    layout : Layout
    streams : StreamSource
    piece : Piece

    Returns
    -------
    float64 [R * G]
        Of every school, treated or not: who is treated is drawn elsewhere.
    """
    effect = constant(law.effect("treated"), piece.sizes.size)
    if law.effect("treated:size"):
        effect = effect + law.effect("treated:size") * relative_sizes(layout, piece.sizes.ravel())
    if law.treatment_sd:
        effect = effect + law.treatment_sd * _normals(streams, piece, "treatment-effects")
    return effect


def arm_variances(variance: float, ratio: float, share: float) -> tuple[float, float]:
    """Return variances (control, treated) with treated / control = `ratio` and mean `variance` at the share
    treated.

    A ratio of 1 must change nothing on average, so the mean over both arms is held: a condition with unequal
    variances is then no noisier than its equal twin.
    """
    control = variance / (1.0 - share + share * ratio)
    return control, ratio * control


def spread_by_resources(law: Parameters, h: float, resources: Floats) -> Floats:
    """Return exp(h r / 2 - h^2 / 4), r the resources in SDs: the factor on an SD that keeps the mean variance."""
    return np.asarray(np.exp(0.5 * h * resources / law.resources_sd - 0.25 * h * h))


def _normals(streams: StreamSource, piece: Piece, purpose: str) -> Floats:
    """Return standard normals for the schools of a piece, each replication from its own stream."""
    g = piece.sizes.shape[1]
    return np.concatenate([streams.at(r, purpose).standard_normal(g) for r in piece.replications])


def _shaped(streams: StreamSource, piece: Piece, name: str, text: str, z: Floats) -> Floats:
    """Return standard normals as draws of another shape with mean 0 and SD 1.

    From the same normals where the shape is a function of them: data sets of different shapes are then alike but for
    the shape.
    """
    shape = shock(f"population.{name}", text)
    if shape.normal:
        return z
    rows = z.reshape(len(piece.sizes), -1)
    drawn = [shape.of(row, streams.at(r, name)) for r, row in zip(piece.replications, rows, strict=True)]
    return np.concatenate(drawn)


def _mixed(correlation: float, with_: Floats | None, own: Floats) -> Floats:
    """Return standard normals that correlate with others to a given degree."""
    if not correlation or with_ is None:
        return own
    return np.asarray(correlation * with_ + np.sqrt(1.0 - correlation * correlation) * own)


def _school_effects(
    law: Parameters, streams: StreamSource, piece: Piece, z: Floats, size_z: Floats | None
) -> Floats:
    """Standardised school effects."""
    own = _shaped(streams, piece, "school_errors", law.school_errors, z)
    return _mixed(law.size_correlation, None if size_z is None else size_z.ravel(), own)


def _resources(law: Parameters, streams: StreamSource, piece: Piece, z: Floats, u: Floats) -> Floats:
    """Return the schools' standardised resources, correlated with the school effects where they are confounded."""
    return _mixed(
        law.resources_confounding, u, _shaped(streams, piece, "resources_shape", law.resources_shape, z)
    )


def _age_means(law: Parameters, streams: StreamSource, piece: Piece, u: Floats) -> Floats:
    """Return the mean age of each school: the population's, or drawn about it where age varies between schools."""
    if not law.age_icc:
        return constant(law.age_mean, piece.sizes.size)
    between = _mixed(law.age_confounding, u, _normals(streams, piece, "age-schools"))
    return law.age_mean + law.age_sd * float(np.sqrt(law.age_icc)) * between


def _age_effects(
    law: Parameters, streams: StreamSource, piece: Piece, resources: Floats, treated: Floats, u: Floats
) -> tuple[Floats, Floats]:
    """The effect of age in each school, and its random part (which acts on age - age_mean)."""
    slope, random = constant(law.effect("age"), piece.sizes.size), constant(0.0, piece.sizes.size)
    if law.effect("age:resources"):
        slope = slope + law.effect("age:resources") * resources
    if law.effect("age:treated"):
        slope = slope + law.effect("age:treated") * treated
    if law.slope_sd:
        random = law.slope_sd * _mixed(law.slope_correlation, u, _normals(streams, piece, "slopes"))
        if law.slope_sd_resources:
            random = random * spread_by_resources(law, law.slope_sd_resources, resources)
    return slope + random, random


def _spreads(
    law: Parameters, layout: Layout, streams: StreamSource, piece: Piece, treated: Floats
) -> tuple[Floats, Floats]:
    """SDs of the school effect and of the residual in each school."""
    school, residual = constant(law.school_sd, len(treated)), constant(law.residual_sd, len(treated))
    if law.treated_school_variance_ratio != 1.0:
        school = _by_arm(law.school_sd**2, law.treated_school_variance_ratio, layout.treated_part, treated)
    if law.treated_variance_ratio != 1.0 and layout.assignment != "students":
        residual = _by_arm(law.residual_sd**2, law.treated_variance_ratio, layout.treated_part, treated)
    if law.residual_cv:
        s2 = np.log1p(law.residual_cv**2)
        residual = residual * np.exp(
            0.5 * (np.sqrt(s2) * _normals(streams, piece, "residual-scales") - 0.5 * s2)
        )
    return school, residual


def _by_arm(variance: float, ratio: float, share: float, treated: Floats) -> Floats:
    """Return the SD for each school by its arm."""
    control, arm = arm_variances(variance, ratio, share)
    return np.asarray(np.where(treated > 0, np.sqrt(arm), np.sqrt(control)), dtype=np.float64)
