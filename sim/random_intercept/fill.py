"""The kernel that turns standard normals and school values into the long columns of a batch.

A replication with N students in G schools owns 3N + 2G standard normals, in this order: age [N], gender [N], residual
[N], school effect [G], resources [G]. Drawing them is the floor of the generator's time; this kernel reads each once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nestbench.sim.compiled import kernel


@kernel
def fill_columns(
    z: Any,
    z_starts: Any,
    school_offsets: Any,
    replication_offsets: Any,
    gender_cut: float,
    age_sd: float,
    age_base: Any,
    intercept: Any,
    age_effect: Any,
    gender_effect: Any,
    residual_sd: Any,
    resources: Any,
    treated: Any,
    grade: Any,
    age: Any,
    male: Any,
    resources_column: Any,
    treated_column: Any,
) -> None:
    """Write the columns of some replications.

    For student i of school s, with standard normals (a, b, e): age = age_base_s + age_sd a; male = b > gender_cut;
    grade = intercept_s + age_effect_s age + gender_effect_s male + residual_sd_s e.

    Parameters
    ----------
    z : float64 [any]
        Standard normals of all replications, replication r from `z_starts[r]`.
    school_offsets : int64 [S + 1]
        First row of each school; rows start at ``school_offsets[0]`` = 0.
    replication_offsets : int64 [R + 1]
        First school of each replication.
    age_base, intercept, age_effect, gender_effect, residual_sd, resources, treated : float64 [S]
        One value a school.
    grade, age, resources_column, treated_column : float64 [N]
        Written.
    male : int32 [N]
        Written.
    """
    for r in range(len(replication_offsets) - 1):
        first, last = replication_offsets[r], replication_offsets[r + 1]
        start = school_offsets[first]
        n = school_offsets[last] - start
        for s in range(first, last):
            a, b = school_offsets[s], school_offsets[s + 1]
            k, size = z_starts[r] + a - start, b - a
            _age(age_base[s], age_sd, z[k : k + size], age[a:b])
            _male(gender_cut, z[k + n : k + n + size], male[a:b])
            _grade(
                intercept[s],
                age_effect[s],
                gender_effect[s],
                residual_sd[s],
                age[a:b],
                male[a:b],
                z[k + 2 * n : k + 2 * n + size],
                grade[a:b],
            )
            resources_column[a:b] = resources[s]
            treated_column[a:b] = treated[s]


@kernel
def _age(base: float, sd: float, z: Any, age: Any) -> None:
    """Fill in ages from their standard normals."""
    for i in range(len(age)):
        age[i] = base + sd * z[i]


@kernel
def _male(cut: float, z: Any, male: Any) -> None:
    """Fill in a binary column by cutting standard normals at the quantile of its share."""
    for i in range(len(male)):
        male[i] = np.int32(z[i] > cut)


@kernel
def _grade(
    constant: float, slope: float, gap: float, sd: float, age: Any, male: Any, z: Any, grade: Any
) -> None:
    """Fill in outcomes, as the sum of a school's part, the covariates' and the residual."""
    for i in range(len(grade)):
        grade[i] = constant + slope * age[i] + gap * male[i] + sd * z[i]
