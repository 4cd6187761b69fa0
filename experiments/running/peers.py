"""Other packages that `nestbench time` times beside ours, where the user has installed them.

They are called by what their manuals show; nothing of theirs is needed or installed by this package. What is timed of
each is data and one mixed model of three terms (a student's number, a student's group, a school's number) with a random
intercept, on one thread: what `TOGETHER` of `fit_times` is of ours.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from nestbench.sim.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Peer:
    """A package that draws nested data and fits a mixed model to them.

    Attributes
    ----------
    name, package : str
        As people write it; as it is installed and imported.
    prepare : callable
        ``prepare(schools, students)`` returns what makes some number of fits.
    """

    name: str
    package: str
    prepare: Callable[[int, int], Callable[[int], object]]

    @property
    def installed(self) -> bool:
        """Whether the package can be imported here."""
        return importlib.util.find_spec(self.package) is not None

    @property
    def label(self) -> str:
        """Its name with the version that is installed."""
        return f"{self.name} {version(self.package)}"

    @property
    def how_to_install(self) -> str:
        """What to type to have it."""
        return f"pip install {self.package}"

    def job(self, schools: int, students: int) -> Callable[[int, Any], None]:
        """Return work on some number of fits, as `fit_times` times it; one is made at once.

        Raises
        ------
        InvalidInput
            The package fails at this size.
        """
        try:
            fit = self.prepare(schools, students)
            fit(1)
        except Exception as error:
            raise InvalidInput(
                f"expected {self.label} to fit {schools} schools of {students}, got {type(error).__name__}: {error}; "
                "--no-peers leaves it out"
            ) from error
        return lambda fits, _: (fit(fits), None)[1]


def mcpower(schools: int, students: int) -> Callable[[int], object]:
    """Return MCPower's fits: power of one design, a data set and a mixed model for each of its simulations."""
    # Its engine reads it when it is loaded; ours is timed on one thread, too.
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    package = importlib.import_module("mcpower")
    model = package.MCPower("grade = age + gender + resources + (1|school)", family="lme")
    model.set_variable_type("gender=binary")
    model.set_effects("age=0.3, gender=0.2, resources=0.2")
    model.set_cluster("school", ICC=0.2, n_clusters=schools, cluster_level_vars=["resources"])
    return lambda fits: model.find_power(
        sample_size=schools * students, n_sims=fits, progress_callback=False, verbose=False
    )


PEERS = (Peer("MCPower", "mcpower", mcpower),)
"""All that can be timed beside ours."""
