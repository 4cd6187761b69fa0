"""Closed forms for planning trials in schools: standard errors, power, detectable effects, and the numbers they need.

Trials are frozen dataclasses in the words of planners (`one_level`, `schools`, `blocks`, `multisite`, `classes`), in
units of the outcome's total SD; each knows the variance of its estimated effect and its degrees of freedom. `t_test`
has the noncentral t on arrays, `answers` puts the two together, `targets` and `required` search whole numbers over
them, `budget` and `assurance` weigh cost and uncertainty, `methods` has the exact power and size of other tests than
the planned one.
"""
