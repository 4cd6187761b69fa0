"""Schools randomised within blocks: districts, strata, matched pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nestbench.sim.errors import InvalidInput
from nestbench.sim.parameter import documented, parameter
from nestbench.sim.theory.planning import chance
from nestbench.sim.theory.planning.points import Points
from nestbench.sim.theory.planning.sizes import gls_variance
from nestbench.sim.theory.planning.trial import SHARE, BlockedTrial, df_within_blocks, refuse_shares


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class SchoolsInBlocks(BlockedTrial):
    """In each block of `block_size` schools `treated_share` are treated (Dong & Maynard 2013, models 4.2 and 4.4:
    BCRA3).

    With K = schools / block_size blocks, the school's variance of its mean given its block::

        v = icc (1 - r2_school) + (1 - icc - block_icc) (1 - r2_student) / n

    and tau = effect_sd, the variance is::

        random     tau^2 (1 - r2_effect) / K + v / (P (1 - P) J)   df K - 1 - block_covariates
        fixed      v / (P (1 - P) J)                               df J - 2 K - school_covariates
        constant   v / (P (1 - P) J)                               df J - K - 1 - school_covariates

    Pairs are blocks of 2, half treated: their differences are a t-test with K - 1 df in ``random`` and ``constant``;
    ``fixed`` leaves none. Blocks help by what they take out of `icc`: state the schools' share that is left within
    blocks as `icc`, the blocks' as `block_icc`.

    With `covariates_drawn` covariates of schools and students are normal samples independent of treatment and blocks;
    in ``constant`` they cost what they do in `SchoolsRandomised`.

    With `school_attrition` a block counts by the schools left in both arms, t c / (t + c), averaged over the
    binomials of t and c: of pairs (1 - a)^2 are left.

    Raises
    ------
    InvalidInput
        A value outside its range, schools that don't fill blocks, blocks with one arm, shares that sum to 1.
    """

    block_size: int = parameter(2, "Schools a block; 2 are pairs.", low=2)
    block_icc: float = parameter(0.0, "The blocks' share of the variance.", **SHARE)
    school_covariates: int = parameter(0, "Number of covariates of schools.", low=0)
    block_covariates: int = parameter(0, "Number of covariates of blocks (of their effects).", low=0)
    student_covariates: int = parameter(
        0, "Number of covariates of students; counted where they are drawn.", low=0
    )
    covariates_drawn: bool = parameter(
        False, "Whether covariates are a sample, related to treatment by chance."
    )

    def check(self) -> None:
        """Refuse schools that don't fill blocks, and blocks that can't have both arms."""
        super(SchoolsInBlocks, self).check()
        refuse_shares(self, "icc", "block_icc")
        if self.schools % self.block_size:
            low = self.schools - self.schools % self.block_size
            raise InvalidInput(
                f"expected schools to fill blocks of trial.block_size = {self.block_size}, got trial.schools = "
                f"{self.schools}; take {max(low, self.block_size)} or {low + self.block_size}"
            )
        treated = self.treated_share * self.block_size
        # A share such as 1 / 3 of 3 schools is not 1 to the last bit.
        if not 1.0 - 1e-9 <= treated <= self.block_size - 1.0 + 1e-9:
            raise InvalidInput(
                f"expected both arms in each block, got trial.treated_share = {self.treated_share:g} of blocks of "
                f"{self.block_size} schools; make blocks larger or take a share nearer to 0.5"
            )
        if self.school_attrition and abs(treated - round(treated)) > 1e-9:
            raise InvalidInput(
                "expected a whole number of treated schools a block with trial.school_attrition, got "
                f"{treated:g} of {self.block_size}; change trial.treated_share or trial.block_size"
            )

    @property
    def blocks(self) -> int:
        """Number of blocks K."""
        return self.schools // self.block_size

    @property
    def school_variance(self) -> float:
        """v, the variance of one school's mean given its block and covariates."""
        within = (1.0 - self.icc - self.block_icc) * (1.0 - self.r2_student)
        between = self.icc * (1.0 - self.r2_school)
        return gls_variance(between, within, self.students_left, self.size_cv_left)

    @property
    def variance(self) -> float:
        """Of the mean effect."""
        information, blocks, _ = self._left()
        return self.effect_variance / blocks + self.school_variance / information

    @property
    def covariates(self) -> float:
        """Covariates as covariates of schools."""
        if not self.covariates_drawn or self.effects != "constant":
            return float(self.school_covariates)
        n, within = self.students_left, (1.0 - self.icc - self.block_icc) * (1.0 - self.r2_student)
        share = chance.share_between(1.0 / n, self.school_variance, max(n - 1.0, 0.0) / within)
        return self.school_covariates + self.student_covariates * share

    @property
    def efficiency(self) -> Points:
        """B of `nestbench.sim.theory.planning.chance`."""
        drawn = self.covariates_drawn and self.effects == "constant"
        return chance.efficiency(self.df, self.covariates if drawn else 0.0)

    @property
    def df(self) -> float:
        """Of `effects`, as in the table above."""
        _, blocks, schools = self._left()
        return df_within_blocks(self.effects, schools, blocks, self.covariates, self.block_covariates)

    def _left(self) -> tuple[float, float, float]:
        """Return the sum over blocks of t c / (t + c), the blocks with both arms, and the schools in them."""
        if not self.school_attrition:
            return self.per_arm * self.schools, float(self.blocks), float(self.schools)
        from scipy import stats

        treated = round(self.treated_share * self.block_size)
        numbers = np.arange(self.block_size + 1)
        arms = [
            stats.binom.pmf(numbers, n, 1.0 - self.school_attrition)
            for n in (treated, self.block_size - treated)
        ]
        # A block that has lost an arm says nothing of the effect.
        chance = np.outer(*arms)[1:, 1:]
        t, c = numbers[1:, None], numbers[None, 1:]
        return (
            float(self.blocks * (chance * t * c / (t + c)).sum()),
            float(self.blocks * chance.sum()),
            float(self.blocks * (chance * (t + c)).sum()),
        )
