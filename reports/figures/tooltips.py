"""What hovering a mark shows."""

from __future__ import annotations

import altair as alt


def of_value(share: bool = False) -> list[alt.Tooltip]:
    """Return a mark's method, condition, value with its Monte Carlo error, and usable fits.

    Parameters
    ----------
    share : bool
        Whether values are shown in per cent.
    """
    exact, error = (".1%", ".2%") if share else (".4~r", ".2~r")
    return [
        alt.Tooltip("estimator:N", title="method"),
        alt.Tooltip("condition:N"),
        alt.Tooltip("value:Q", format=exact),
        alt.Tooltip("mcse:Q", title="MCSE", format=error),
        alt.Tooltip("usable:N", title="usable fits"),
    ]
