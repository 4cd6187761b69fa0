"""What covariates cost by chance: a sample of schools is never balanced in them.

Of the treatment's variation g covariates of schools, independent of it, leave by chance the share ::

    B ~ Beta((d + 1) / 2, g / 2),      E 1 / B = (d - 1 + g) / (d - 1),

d the degrees of freedom left to the test; the variance given the covariates is that of balanced ones over B.

A covariate of classes or students is related to the treatment of schools through its school means alone, and its
coefficient is known from differences within schools, too. With b the variance of its school means, v that of the
outcome's, s its sum of squares within a school and u the outcome's variance there it counts as w covariates of schools,
the share of what is known of its coefficient that lies between schools: ::

    w = (b / v) / (b / v + s / u).

One student or class a school makes it a covariate of schools: w = 1.
"""

from __future__ import annotations

from nestbench.sim.theory.planning.points import Points, beta_points, certain

CHANCES = 20
"""Points of the distribution of chance imbalance."""


def efficiency(df: float, covariates: float) -> Points:
    """Return the distribution of B.

    Parameters
    ----------
    df : float
        Degrees of freedom of the test, covariates deducted.
    covariates : float
        As covariates of schools.
    """
    if covariates <= 0.0 or df <= 0.0:
        return certain(1.0)
    return beta_points(0.5 * (df + 1.0), 0.5 * covariates, CHANCES)


def share_between(between: float, variance: float, within: float) -> float:
    """Return w.

    Parameters
    ----------
    between : float
        b, variance of the covariate's school means; 0 with infinitely many students.
    variance : float
        v, of the outcome's school means given covariates.
    within : float
        s / u, what a school says of the coefficient by the differences in it.
    """
    if between <= 0.0:
        return 0.0
    known = between / variance
    return known / (known + within)
