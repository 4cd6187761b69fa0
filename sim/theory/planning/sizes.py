"""What schools of unequal size cost: the relative efficiency of an estimated effect.

A school of n students whose mean has variance between + within / n carries the information 1 / (between + within / n)
on its arm's mean. With lambda = n between / (n between + within), the reliability of a school mean, and sizes of mean
n and coefficient of variation cv:

- weights by information (GLS, REML): efficiency 1 - cv^2 lambda (1 - lambda) relative to equal sizes of the same mean,
  to second order (van Breukelen, Candel & Berger 2007, Statistics in Medicine 26:2589);
- every student alike (OLS): design effect 1 + ((1 + cv^2) n - 1) rho (Eldridge, Ashby & Kerry 2006, International
  Journal of Epidemiology 35:1292), so between is multiplied by 1 + cv^2;
- every school alike (school means): within is multiplied by E n E(1 / n), 1 + cv^2 for lognormal sizes, and to second
  order for all.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def gls_variance(between: float, within: float, students: float, cv: float = 0.0) -> float:
    """Return the variance of one school's contribution when schools are weighted by their information.

    The harmonic mean over schools of between + within / n.

    Parameters
    ----------
    between, within : float
        Variances between schools and within them, given covariates.
    students : float
        Mean size, may be infinite.
    cv : float
        Coefficient of variation of sizes.
    """
    equal = between + within / students
    reliability = between / equal if equal > 0.0 else 0.0
    return equal / (1.0 - cv**2 * reliability * (1.0 - reliability))


def ols_variance(between: float, within: float, students: float, cv: float = 0.0) -> float:
    """Return the same when every student counts alike: between (1 + cv^2) + within / n."""
    return between * (1.0 + cv**2) + within / students


def means_variance(between: float, within: float, students: float, cv: float = 0.0) -> float:
    """Return the same when every school counts alike: between + within (1 + cv^2) / n."""
    return between + within * (1.0 + cv**2) / students


def gls_variance_of(between: float, within: float, sizes: npt.ArrayLike) -> float:
    """Return `gls_variance` of known sizes [G], exactly: G / sum_g 1 / (between + within / n_g)."""
    n = np.asarray(sizes, dtype=np.float64)
    return float(len(n) / (1.0 / (between + within / n)).sum())


def size_cv(sizes: npt.ArrayLike) -> float:
    """Return the coefficient of variation of known sizes [G] (divisor G)."""
    n = np.asarray(sizes, dtype=np.float64)
    return float(n.std() / n.mean())


def design_effect(icc: float, students: float, cv: float = 0.0) -> float:
    """Return 1 + ((1 + cv^2) n - 1) icc: the factor on the variance of independent students, of OLS (Eldridge 2006).

    Parameters
    ----------
    icc : float
    students : float
        Mean size n.
    cv : float
        Coefficient of variation of sizes.
    """
    return 1.0 + ((1.0 + cv**2) * students - 1.0) * icc
