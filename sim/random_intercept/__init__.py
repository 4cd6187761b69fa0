"""The built-in law: students in schools that share a random intercept, and its extensions."""

from nestbench.sim.random_intercept.law import RandomIntercept as RandomIntercept
