"""Defects for copies of the packages that are installed: what is appended to a copy's file, and where.

A function of the package is wrapped so that what it returns has the defect in the numbers that people read off it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
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
        What is wrapped.
    steps : tuple of str
        Methods that lead from what it returns to the fit.
    read : dict
        Attribute or method of the fit -> what it has, or column -> what that has.
    without : tuple of str
        Defects that can't be in what it says.
    """

    way: str
    package: str
    file: str
    function: str
    steps: tuple[str, ...]
    read: dict[str, str | dict[str, str]]
    without: tuple[str, ...] = ()


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
        ("df",),
    ),
    Plant("mixedlm lmer", "mixedlm", "__init__.py", "lmer", (), {"tidy": TIDY}),
    Plant(
        "mixedlm-rs mixedlm",
        "mixedlm_rs",
        "__init__.py",
        "mixedlm",
        ("fit",),
        {"fe_params": "estimate", "bse_fe": "std_error"},
        ("df",),
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
)
DEFECTS = ("se", "se 20 %", "df", "sign", "zero", "failures")


def folder_of(package: str) -> Path | None:
    """Return where a package is installed; None where it isn't."""
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent if found is not None and found.origin is not None else None


def planted(plant: Plant, defect: str, into: Path) -> Path:
    """Copy a package into a folder, with a defect (empty: none) in the copy; return the folder, for ``PYTHONPATH``."""
    source = folder_of(plant.package)
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
    owner, _, method = plant.function.rpartition(".")
    name = f"_planted_{method}" if owner else plant.function
    # Some packages load what they offer when it is first asked for.
    lazily = f"globals().get({name!r}) or __getattr__({name!r})"
    code = CODE.replace("_sound = _NAME_", f"_sound = {plant.function if owner else lazily}").replace(
        "_NAME_", name
    )
    head = f"\n_DEFECT, _STEPS, _READ = {defect!r}, {plant.steps!r}, {plant.read!r}\n"
    return head + code + (f"\n{plant.function} = {name}\n" if owner else "")
