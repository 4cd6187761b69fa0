"""Defects for copies of the packages that are installed: what is appended to a copy's file, and where.

A function of the package is wrapped so that what it returns has the defect in the numbers that people read off it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

CODE = '''

class _Planted:
    """Something of the package, with a defect in some of what it says."""

    def __init__(self, real, steps, seen):
        self.__dict__.update(_real=real, _steps=steps, _seen=seen)

    def __getitem__(self, key):
        return self._real[key]

    def __getattr__(self, name):
        value = getattr(self._real, name)
        if self._steps and name == self._steps[0]:
            return lambda *args, **options: _Planted(value(*args, **options), self._steps[1:], self._seen)
        if self._steps or name not in _READ:
            return value
        spoil = lambda found: _spoiled(found, _READ[name], self._real)
        return (lambda *args, **options: spoil(value(*args, **options))) if callable(value) else spoil(value)


def _one(values, quantity):
    from scipy.stats import t

    if _DEFECT == "se" and quantity == "std_error":
        return 1.05 * values
    if _DEFECT == "se 20 %" and quantity == "std_error":
        return 0.8 * values
    if _DEFECT == "sign" and quantity == "estimate":
        return -1.0 * values
    if _DEFECT == "zero" and quantity == "std_error" and _CALLS[0] % 5 == 0:
        return 0.0 * values
    if _DEFECT == "df" and quantity == "df":
        return values - 1.0
    if _DEFECT == "df" and quantity == "interval":
        # Packages that say no df: the interval of 18 in place of 19.
        middle = values.mean(axis=1)
        return values.sub(middle, axis=0).mul(t.ppf(0.975, 18.0) / t.ppf(0.975, 19.0)).add(middle, axis=0)
    return values


def _spoiled(found, quantity, real):
    import numpy as np

    if isinstance(quantity, str):
        return _one(np.asarray(found) if isinstance(found, (list, tuple)) else found, quantity)
    for column, what in quantity.items():
        if hasattr(found, "with_columns"):
            import polars

            found = found.with_columns(polars.Series(column, _one(found[column].to_numpy(), what)))
        else:
            found = found.assign(**{column: _one(found[column].astype(float), what)})
    return found


_CALLS = [0]
_sound = _NAME_


def _NAME_(*args, **options):
    _CALLS[0] += 1
    if _DEFECT == "failures" and _CALLS[0] % 100 == 57:
        raise RuntimeError("did not work")
    return _Planted(_sound(*args, **options), _STEPS, None)
'''


@dataclass(frozen=True, slots=True)
class Plant:
    """Where a package is spoiled.

    Attributes
    ----------
    way : str
        Of the league.
    package : str
        Folder that is copied.
    file : str
        In it, that the code is appended to; the last words of the name that is imported.
    function : str
        What is wrapped; empty: `code` is all that is appended.
    steps : tuple of str
        Methods that lead from what it returns to the fit.
    read : dict
        Attribute or method of the fit -> what it has, or column -> what that has.
    without : mapping of str to str
        Defects that can't be in what it says, and why.
    conditions : tuple of str
        Of the league, that it is run in.
    code : str
        What is appended in place of a wrapper; ``_DEFECT_`` stands for the defect.
    library : str
        The variable that says where copies are looked for first.
    """

    way: str
    package: str
    file: str
    function: str = ""
    steps: tuple[str, ...] = ()
    read: Mapping[str, str | dict[str, str]] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)
    conditions: tuple[str, ...] = ("balanced", "unequal", "labels-text")
    code: str = ""
    library: str = "PYTHONPATH"


NORMAL = {"df": "its reference is the normal: there are no df"}
NO_DF = {"df": "it says no df"}
FEW = "of its few data sets none is the one of a hundred that fails; the page says which rates they can show"
BOOTSTRAP = """

_DEFECT, _CALLS = "_DEFECT_", [0]
_sound = WildboottestCL.get_tstat


def _planted(self):
    _CALLS[0] += 1
    factor = {"se": 1.05, "se 20 %": 0.8, "zero": 0.0 if _CALLS[0] % 5 == 0 else 1.0}.get(_DEFECT, 1.0)
    self.vcov = factor**2 * self.vcov
    _sound(self)


WildboottestCL.get_tstat = _planted
"""
TIDY = {"estimate": "estimate", "std.error": "std_error", "df": "df"}
PLANTS = (
    Plant(
        "statsmodels OLS cluster use_t",
        "statsmodels",
        "formula/api.py",
        "ols",
        ("fit",),
        {"params": "estimate", "bse": "std_error", "conf_int": "interval"},
    ),
    Plant(
        "statsmodels MixedLM powell",
        "statsmodels",
        "formula/api.py",
        "mixedlm",
        ("fit",),
        {"params": "estimate", "bse_fe": "std_error"},
        NORMAL,
    ),
    Plant(
        "statsmodels GEE bias-reduced",
        "statsmodels",
        "formula/api.py",
        "gee",
        ("fit",),
        {"params": "estimate", "bse": "std_error"},
        NORMAL,
    ),
    Plant("mixedlm lmer", "mixedlm", "__init__.py", "lmer", (), {"tidy": TIDY}),
    Plant(
        "mixedlm-rs mixedlm",
        "mixedlm_rs",
        "__init__.py",
        "mixedlm",
        ("fit",),
        {"fe_params": "estimate", "bse_fe": "std_error"},
        NORMAL,
    ),
    Plant(
        "lme-python lmer",
        "lme_python",
        "__init__.py",
        "lmer",
        (),
        {"coefficients": "estimate", "std_errors": "std_error", "satterthwaite_dfs": "df"},
    ),
    Plant(
        "glmm lmm",
        "glmm",
        "__init__.py",
        "fit",
        (),
        {"beta": "estimate", "se": "std_error", "coef_df": "df"},
    ),
    Plant(
        "bossanova model",
        "bossanova",
        "__init__.py",
        "model",
        ("fit", "infer"),
        {"params": {"estimate": "estimate", "se": "std_error", "df": "df"}},
    ),
    Plant(
        "pyfixest feols CRV1",
        "pyfixest",
        "__init__.py",
        "feols",
        (),
        {"coef": "estimate", "se": "std_error", "confint": "interval"},
    ),
    Plant(
        "linearmodels PanelOLS",
        "linearmodels",
        "__init__.py",
        "PanelOLS.from_formula",
        ("fit",),
        {"params": "estimate", "std_errors": "std_error", "df_resid": "df"},
    ),
    *(
        Plant(
            f"linearmodels {way}",
            "linearmodels",
            "__init__.py",
            f"{way.split()[0]}.from_formula",
            ("fit",),
            {"params": "estimate", "std_errors": "std_error", "df_resid": "df"},
        )
        for way in ("PooledOLS clustered", "RandomEffects")
    ),
    Plant(
        "wildboottest wildboottest",
        "wildboottest",
        "wildboottest.py",
        without={**NO_DF, "sign": "it says a p-value alone, which the sign doesn't change", "failures": FEW},
        # All sign vectors are enumerated: a p-value has no Monte Carlo error in which a defect could hide.
        conditions=("large-schools", "unequal-few", "eight-schools"),
        code=BOOTSTRAP,
    ),
)
DEFECTS = ("se", "se 20 %", "df", "sign", "zero", "failures")


def folder_of(package: str) -> Path | None:
    """Return where a package of Python is installed; None where it isn't."""
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent if found is not None and found.origin is not None else None


def folder_of_r(package: str) -> Path | None:
    """Return where a package of R is installed; None without it, or R."""
    if shutil.which("Rscript") is None:
        return None
    asked = ["Rscript", "--vanilla", "-e", f'cat(system.file(package = "{package}"))']
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return Path(found) if found else None


def source_of(plant: Plant) -> Path | None:
    """Return where the package of a plant is installed; None where it isn't."""
    return (folder_of if plant.library == "PYTHONPATH" else folder_of_r)(plant.package)


def planted(plant: Plant, defect: str, into: Path) -> Path:
    """Copy a package into a folder, with a defect (empty: none) in the copy; return the folder, for `Plant.library`."""
    source = source_of(plant)
    assert source is not None
    copy = into / plant.package
    # Links to the files that stay as they are: a copy of statsmodels takes 100 MB.
    shutil.copytree(source, copy, copy_function=_link, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    code = (copy / plant.file).read_text(encoding="utf-8") + _code(plant, defect)
    (copy / plant.file).unlink()
    (copy / plant.file).write_text(code, encoding="utf-8")
    return into


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _code(plant: Plant, defect: str) -> str:
    """Return what is appended: of a method, a function of its name that then takes its place."""
    if plant.code:
        return plant.code.replace("_DEFECT_", defect)
    owner, _, method = plant.function.rpartition(".")
    name = f"_planted_{method}" if owner else plant.function
    # Some packages load what they offer when it is first asked for.
    lazily = f"globals().get({name!r}) or __getattr__({name!r})"
    code = CODE.replace("_sound = _NAME_", f"_sound = {plant.function if owner else lazily}").replace(
        "_NAME_", name
    )
    head = f"\n_DEFECT, _STEPS, _READ = {defect!r}, {plant.steps!r}, {plant.read!r}\n"
    return head + code + (f"\n{plant.function} = {name}\n" if owner else "")
