"""The packages of the league, a file each; a new one is a file and its name here."""

NAMES = (
    "statsmodels",
    "mixedlm",
    "mixedlm_rs",
    "lme_python",
    "glmm",
    "bossanova",
    "pyfixest",
    "linearmodels",
    "wildboottest",
    "r",
    "pymer4",
)
"""Files, in the order in which the page shows them."""

PLACES = tuple(f"nestbench.league.packages.{name}" for name in NAMES)
