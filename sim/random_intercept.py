"""The random-intercept law (first version)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from nestbench.sim.batch import Batch, Category, offsets_of
from nestbench.sim.layout import Layout
from nestbench.sim.streams import StreamSource


@dataclass(frozen=True, slots=True)
class RandomIntercept:
    """grade = Intercept + age + gender + resources + treated + u_school + e."""

    name: ClassVar[str] = "random-intercept"
    icc: float = 0.2
    total_sd: float = 1.0
    effects: Mapping[str, float] = field(
        default_factory=lambda: {
            "Intercept": 50.0,
            "age": 2.0,
            "gender": 1.0,
            "resources": 0.5,
            "treated": 0.0,
        }
    )

    @property
    def truth(self) -> dict[str, float]:
        """Term -> true value, with the variance components in parentheses."""
        e = self.effects
        return {
            "Intercept": e.get("Intercept", 0.0),
            "age": e.get("age", 0.0),
            "gender[T.male]": e.get("gender", 0.0),
            "resources": e.get("resources", 0.0),
            "treated": e.get("treated", 0.0),
            "(school_sd)": self.total_sd * self.icc**0.5,
            "(residual_sd)": self.total_sd * (1 - self.icc) ** 0.5,
            "(icc)": self.icc,
        }

    def theory(self, layout: Layout) -> dict[str, float]:
        """Closed-form expectations."""
        m = float(layout.sizes().mean())
        return {"design_effect": 1 + (m - 1) * self.icc}

    def draw(self, layout: Layout, streams: StreamSource, replications: range) -> Batch:
        """Draw the data sets of some replications."""
        sizes = layout.sizes()
        n, g, reps = int(sizes.sum()), len(sizes), len(replications)
        z = np.empty((reps, 3 * n + 2 * g))
        for i, r in enumerate(replications):
            streams.at(r, "data").standard_normal(out=z[i])
        age = 15.0 + z[:, :n]
        male = (z[:, n : 2 * n] > 0).astype(np.int32)
        error = z[:, 2 * n : 3 * n] * self.total_sd * (1 - self.icc) ** 0.5
        school = z[:, 3 * n : 3 * n + g] * self.total_sd * self.icc**0.5
        resources = np.repeat(z[:, 3 * n + g :], sizes, axis=1)
        treated = np.repeat((np.arange(g) < layout.treated_schools).astype(float), sizes)
        e = self.truth
        grade = (
            e["Intercept"]
            + e["age"] * age
            + e["gender[T.male]"] * male
            + e["resources"] * resources
            + e["treated"] * treated
            + np.repeat(school, sizes, axis=1)
            + error
        )
        return Batch(
            columns={
                "grade": grade.ravel(),
                "age": age.ravel(),
                "gender": Category(male.ravel(), ("female", "male")),
                "resources": resources.ravel(),
                "treated": np.tile(treated, reps),
            },
            group="school",
            school_offsets=offsets_of(np.tile(sizes, reps)),
            replication_offsets=np.arange(reps + 1, dtype=np.int64) * g,
            replications=np.arange(replications.start, replications.stop, dtype=np.int64),
            streams=streams,
        )
