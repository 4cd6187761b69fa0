"""The commented file that `nestbench new` writes."""

from __future__ import annotations

import re
from pathlib import Path

from nestbench.experiments.files import unwritable
from nestbench.experiments.toml.settings import NAME
from nestbench.sim.errors import InvalidInput

SCHEMA = "nestbench.schema.json"
"""The schema's file beside an experiment's; editors look for it where the first line says."""

TEMPLATE = """\
#:schema ./SCHEMA
# An experiment of nestbench. Run it:  nestbench run NAME.toml

[experiment]
name = "NAME"                          # the run goes to runs/NAME
title = "Which method survives few schools?"
aims = "Compare standard errors for a school-level covariate when schools are few."
replications = 200                     # of each condition; more later: nestbench run NAME.toml --replications 2000
seed = 20261122
# names of nestbench list methods, or tables { name = "...", option = ... }
estimators = ["ols", "ols-cr1s-z", "ols-cr1s-t", "mixedlm"]
# engine = "auto"                      # "auto": the fast engine where a method has one; "reference"; "batched"
# reference_replications = 200         # bound for methods without a fast engine (under "auto")
# plugins = ["my_methods.py"]          # own methods and populations, relative to this file

[population]                           # nestbench list populations
law = "random-intercept"
icc = 0.2                              # schools' share of the variance, in [0, 1)
total_sd = 1.0                         # SD of school effect and residual together
effects = { Intercept = 50.0, age = 2.0, gender = 1.0, resources = 0.5, treated = 0.0 }   # gender: male against female

[layout]
schools = 10
students = 20                          # or a list, one size per school
treated_schools = 0

[model]                                # what the analyst fits
formula = "grade ~ age + gender + resources"
group = "school"
random = "1"                           # random part of mixed models: "1" or "1 + age"
level = 0.95

[factors]                              # crossed, in this order, into conditions; the first is the slowest
"layout.schools" = [6, 10, 30]
"population.icc" = [0.0, 0.05, 0.2]
# "layout.schools, layout.students" = [[6, 100], [30, 20]]              # keys that vary together, as rows
# exclude = [{ "layout.schools" = 6, "population.icc" = [0.0, 0.05] }]  # combinations to leave out; or only = [...]
"""


def write_template(name: str, folder: Path) -> Path:
    """Write ``NAME.toml`` in a folder and return its path; an existing file is never overwritten."""
    if not re.fullmatch(NAME, name) or len(name) > 80:
        raise InvalidInput(
            f"expected a name of letters, digits, '.', '_' and '-', got '{name}'; e.g. few-schools"
        )
    file = folder / f"{name}.toml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(file, "x", encoding="utf-8") as handle:
            # Not by str.format, for TOML's inline tables are braces; the name last, since it may hold the other word.
            handle.write(TEMPLATE.replace("SCHEMA", SCHEMA).replace("NAME", name))
    except FileExistsError as error:
        raise InvalidInput(f"{file} is there already; choose another name, or delete it first") from error
    except OSError as error:
        raise unwritable(file, error) from error
    return file
