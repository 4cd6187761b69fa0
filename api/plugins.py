"""Decorators for own methods and laws: ``@nestbench.estimator("my-method")``, ``@nestbench.population``."""

from nestbench.experiments.plugins import estimator, population

__all__ = ["estimator", "population"]
