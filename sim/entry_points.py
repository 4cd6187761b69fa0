"""What installed packages offer under an entry-point group, loaded once a process."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Callable
from typing import Any

from nestbench.sim.user_code import user_code

_LOADED: set[str] = set()


def load(group: str, add: Callable[[Any], object]) -> None:
    """Give what every entry point of a group names to `add`; the first call in a process does, later ones do nothing.

    A package that can't be loaded, or whose offer `add` refuses, is left out with a warning: it isn't this run's fault.
    """
    if group in _LOADED:
        return
    # Before they are loaded: a package that looks a name up on the way would have itself loaded again.
    _LOADED.add(group)
    for point in importlib.metadata.entry_points(group=group):
        try:
            with user_code():
                add(point.load())
        except Exception as error:
            package = point.dist.name if point.dist else point.value
            warnings.warn(
                f"'{point.name}' of the package {package} ({group}) is left out: {type(error).__name__}: {error}",
                stacklevel=2,
            )
