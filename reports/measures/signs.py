"""Errors of sign and of magnitude among the significant (Gelman & Carlin 2014): notation as in `declared`."""

from __future__ import annotations

import numpy as np

from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.draws import Bools, Draws
from nestbench.sim.observed.batch import Floats


def wrongly_rejects(d: Draws) -> Bools:
    """p_i <= alpha and sign (t_i - b0) != sign (th_i - b0)."""
    return d.once(st.rejects) & d.once(st.wrong_sign)


def type_s(d: Draws) -> Floats:
    """Share of wrong signs among the significant."""
    return d.once(st.mean(wrongly_rejects)) * d.n / st.significant(d)


def type_s_influence(d: Draws) -> Floats:
    """(K / n_sig) sig_i (wrong_i - share)."""
    weight = d.once(st.rejects) * (d.n / st.significant(d))[:, None]
    return weight * (d.once(st.wrong_sign) - type_s(d)[:, None])


def significant_magnitude(d: Draws) -> Floats:
    """abs((t_i - b0) / (th_i - b0)) where p_i <= alpha, else 0."""
    return d.once(st.rejects) * _magnitude(d)


def exaggeration(d: Draws) -> Floats:
    """Mean abs(t_i - b0) given significance, over abs(th_i - b0)."""
    return d.once(st.mean(significant_magnitude)) * d.n / st.significant(d)


def exaggeration_influence(d: Draws) -> Floats:
    """(K / n_sig) sig_i (abs((t_i - b0) / (th_i - b0)) - value)."""
    weight = d.once(st.rejects) * (d.n / st.significant(d))[:, None]
    return weight * (_magnitude(d) - exaggeration(d)[:, None])


def exaggeration_mcse(d: Draws) -> Floats:
    """Sd of abs((t_i - b0) / (th_i - b0)) among the significant, over sqrt n_sig; NaN for fewer than two."""
    n = st.significant(d)
    squares = d.once(st.mean(significant_spread)) * d.n
    return np.where(n > 1, np.sqrt(squares / ((n - 1.0) * n)), np.nan)


def significant_spread(d: Draws) -> Floats:
    """(abs((t_i - b0) / (th_i - b0)) - value)^2 where p_i <= alpha, else 0."""
    apart: Floats = d.once(st.rejects) * (_magnitude(d) - exaggeration(d)[:, None])
    return apart**2


def _magnitude(d: Draws) -> Floats:
    """Return the estimates' distance from the null value relative to the truth's."""
    return np.abs((d.estimate - d.null) / (d.truth - d.null))
