"""A package of several versions in a folder, for pip without a network, and a study that uses it."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

VERSIONS = {
    "1.0": "SCALE = 1.0",
    "1.1": "SCALE = 1.0",
    "1.2": "raise RuntimeError('broken release')",
    "1.3": "SCALE = 1.05",
    "1.4": "SCALE = 1.05",
    "2.0rc1": "SCALE = 2.0",
}
"""Version -> what its module is: standard errors become 5 % too large at 1.3, the one before can't be imported."""

PLUGIN = """
import nestbench
import numpy as np

@nestbench.estimator("tiny-mean")
def tiny_mean(frame, model):
    import nestbench_tiny_fit as tiny

    means = frame.groupby(model.group)["grade"].mean()
    error = tiny.SCALE * means.std(ddof=1) / np.sqrt(len(means))
    return {"Intercept": {"estimate": means.mean(), "std_error": error, "df": len(means) - 1}}
"""
STUDY = """
[experiment]
name = "tiny"
seed = 5
replications = 20
plugins = ["tiny.py"]
estimators = ["ols", "tiny-mean"]

[population]
law = "random-intercept"

[layout]
schools = 5
students = 4

[model]
formula = "grade ~ 1"
"""


def write_index(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Write wheels, plugin and study into a folder; pip looks for packages there alone. Return the study."""
    wheels = folder / "wheels"
    wheels.mkdir()
    for version, text in VERSIONS.items():
        _wheel(wheels, version, text)
    (folder / "tiny.py").write_text(PLUGIN)
    (folder / "tiny.toml").write_text(STUDY)
    patch.setenv("PIP_NO_INDEX", "1")
    patch.setenv("PIP_FIND_LINKS", str(wheels))
    patch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder / "tiny.toml"


def _wheel(folder: Path, version: str, text: str) -> None:
    """Write a wheel of one module."""
    info = f"nestbench_tiny_fit-{version}.dist-info"
    files = {
        "nestbench_tiny_fit.py": text + "\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: nestbench-tiny-fit\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_digest(body)},{len(body)}\n" for name, body in files.items())
    with zipfile.ZipFile(folder / f"nestbench_tiny_fit-{version}-py3-none-any.whl", "w") as wheel:
        for name, body in files.items():
            wheel.writestr(name, body)
        wheel.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
