"""The built-in population: students in schools that share a random intercept, and its extensions."""

from nestbench.sim.random_intercept.law import RandomIntercept as RandomIntercept
