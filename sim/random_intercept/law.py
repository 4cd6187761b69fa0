"""The random-intercept population and its extensions, each a parameter whose default changes nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from nestbench.sim.cells.data_size import DataSize
from nestbench.sim.cells.layout import Layout
from nestbench.sim.cells.mean import Effect, Mean
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.model import Model
from nestbench.sim.parameter import documented
from nestbench.sim.random_intercept import effects, known
from nestbench.sim.random_intercept.covariance import covariance_of
from nestbench.sim.random_intercept.data_sets import draw_data
from nestbench.sim.random_intercept.parameters import TERMS as TERMS
from nestbench.sim.random_intercept.parameters import Parameters, check_combination
from nestbench.sim.random_intercept.smaller import with_fewer_students
from nestbench.sim.random_intercept.statistics import allows, strata_of_layout, why_not
from nestbench.sim.streams import StreamSource


@documented
@dataclass(frozen=True, slots=True)
class RandomIntercept(Parameters):
    """Students in schools that share a random intercept.

    For student i of school j, with all parameters at their defaults::

        grade_ij = Intercept + age age_ij + gender male_ij + resources resources_j + treated treated_j + u_j + e_ij
        u_j ~ N(0, icc total_sd^2),   e_ij ~ N(0, (1 - icc) total_sd^2)
        age_ij ~ N(age_mean, age_sd^2),   P(male_ij) = male_share,   resources_j ~ N(0, resources_sd^2)

    The truth of every term is its effect; ``(school_sd)`` = total_sd sqrt(icc), ``(residual_sd)`` = total_sd
    sqrt(1 - icc - class_icc). Shapes of errors keep mean and SD, so an ICC means the same under all of them.

    What errs on it, family by family:

    - the population as it is: pooled OLS is unbiased, but its standard error of a school-constant term (`resources`,
      `treated`, the intercept) is too small by the square root of the design effect 1 + (m - 1) icc for schools of
      m students, and a little too large for student-level terms. Cluster-robust errors and the mixed model with a
      normal reference are too small with few schools; Satterthwaite and Bell-McCaffrey degrees of freedom repair
      it. School dummies lose school-constant terms.
    - unequal sizes (`layout.size_cv`, ...): fewer effective schools; CR0/CR1 errors shrink further, Satterthwaite
      degrees of freedom fall. Informative sizes (`size_correlation`): OLS estimates the mean over students, school
      means and the mixed model nearly the mean over schools; they differ by about size_correlation sqrt(log(1 +
      cv^2)) school_sd.
    - confounding (`age_confounding` with `age_icc`, `resources_confounding`): OLS and the mixed model are biased
      for the term (`theory` has by how much), school dummies and Mundlak's model are not for `age`; nothing
      repairs `resources`.
    - `effects.school_age`: within and between effects differ; models with one slope for both estimate a mixture.
    - `slope_sd`: random-intercept models give too small errors for `age` (its design effect is ignored);
      cluster-robust errors and a random slope in the model hold.
    - `treatment_sd`: the same for a treatment of students within schools.
    - unequal variances (`treated_variance_ratio`, `treated_school_variance_ratio`, `residual_cv`, `residual_age`,
      `residual_proportional`, `school_sd_resources`, `slope_sd_resources`): naive and mixed-model errors are wrong
      for unequal arms, and too small for a column that the variance grows with (`age`, `resources`); cluster-robust
      errors hold with enough schools, in each arm.
    - shapes (`residual_shape`, `school_errors`): estimates stay unbiased; with few schools, skewed or bimodal
      school effects move the size of every t-test, most for unequal arms and intercepts.
    - `class_icc`: two-level models take class effects for noise: errors of `teacher` are too small, those of
      school-constant terms hold, robust errors by school hold.
    - `missing`, `missing_age`, `missing_schools`: nothing is biased given age and resources; schools become fewer
      and unequal.

    Raises
    ------
    InvalidInput
        A parameter outside its range, an unknown effect, or (from `check`) a combination with a layout that can't be.
    """

    name: ClassVar[str] = "random-intercept"
    versions: ClassVar[tuple[int, ...]] = (1, 2)
    normal_errors: ClassVar[bool] = True

    def check(self, layout: Layout) -> None:
        """Refuse a layout that a parameter can't be combined with.

        Raises
        ------
        InvalidInput
            Names both and says why.
        """
        check_combination(self, layout)

    def spelled(self, layout: Layout) -> RandomIntercept:
        """Return the same population written in the one way that keys are made of: its effects
        (`nestbench.sim.random_intercept.effects`), and the version by which its data sets are in fact drawn."""
        written = effects.spelled(self.effects, layout)
        version = 2 if self.strata(layout) else 1
        same = written == self.effects and version == self.version
        return self if same else replace(self, effects=written, version=version)

    @property
    def truth(self) -> dict[str, float]:
        """Term -> true value, with the variance components in parentheses."""
        coefficients = {term: float(self.effect(name)) for name, term in TERMS.items()}
        components = {"school": self.school_sd, "residual": self.residual_sd}
        components |= {"class": self.class_sd} if self.class_icc else {}
        slope = {"(slope_sd[age])": float(self.slope_sd)} if self.slope_sd else {}
        return (
            coefficients
            | {f"({name}_sd)": sd for name, sd in components.items()}
            | slope
            | {"(icc)": float(self.icc)}
        )

    def theory(
        self, layout: Layout, model: Model | None = None, tests: Collection[str] | None = None
    ) -> dict[str, Any]:
        """Return what is known without simulation; see `nestbench.sim.random_intercept.known.theory_of`."""
        return known.theory_of(self, layout, model, tests)

    def columns_key(self, layout: Layout) -> str:
        """Return what theory's draws of the columns depend on; see `nestbench.sim.random_intercept.known`."""
        return known.columns_key(self, layout)

    def covariance(self, layout: Layout, batch: Batch, rows: slice) -> tuple[Floats, Floats] | None:
        """Return the errors' covariance given the columns; see `nestbench.sim.random_intercept.covariance`."""
        return covariance_of(self, layout, batch, rows)

    def mean_of(self, layout: Layout, streams: StreamSource, replications: range) -> Mean:
        """Draw some data sets and return their mean, effect by effect; with fewer students where schools are large,
        as no coefficient depends on how many there are."""
        return effects.mean_of(self, with_fewer_students(layout), streams, replications)

    def random_part(self, batch: Batch) -> tuple[tuple[Effect, ...], Floats]:
        """Return what the random effects act on, and their covariance; see `nestbench.sim.random_intercept.effects`."""
        return effects.random_part(self, batch)

    def strata(self, layout: Layout) -> int:
        """Return how many strata a data set is drawn by, 0 where it is drawn student by student."""
        return strata_of_layout(layout) if self.version > 1 and allows(self) else 0

    @property
    def why_row_by_row(self) -> str:
        """Why data sets are drawn student by student; empty where they are drawn by statistics."""
        return why_not(self) or ("version = 1 asks for it" if self.version == 1 else "")

    def data_size(self, layout: Layout) -> DataSize:
        """Return how large a data set is expected to be."""
        rows = round((layout.schools - self.missing_schools) * layout.mean_size * (1.0 - self.missing))
        strata = self.strata(layout)
        # A stratum has its count, 2 means, 4 factors, 5 constants, and takes some 12 random numbers.
        return DataSize(layout.schools, rows, 7 if layout.classes else 5, 24 * strata)

    def draw(self, layout: Layout, streams: StreamSource, replications: range) -> Batch:
        """Draw the observed data of some replications."""
        return draw_data(self, layout, streams, replications)
