"""What methods that reassign or redraw schools share."""

from __future__ import annotations

from nestbench.estimators.estimator import Options
from nestbench.sim.errors import InvalidInput


def draws_of(options: Options) -> int:
    """Return the option `draws`."""
    draws = options["draws"]
    if not isinstance(draws, int) or draws < 19:
        raise InvalidInput(
            f"expected draws to be a whole number of at least 19, got {draws!r}; e.g. draws = 999"
        )
    return draws
