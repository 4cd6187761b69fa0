"""What is built is whole: an sdist and a wheel hold every module and data file of the tree, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("sim", "estimators", "experiments", "reports")

BUILD = """
import sys
from setuptools import build_meta
_, out = sys.argv  # setuptools sets its own
build_meta.build_sdist(out)
build_meta.build_wheel(out)
"""


def tree() -> set[str]:
    """Every file of the package, by its place in it; folders of the root stand where the links point."""
    found = set()
    for start, place in [(ROOT / "src/nestbench", ""), *((ROOT / name, f"{name}/") for name in FOLDERS)]:
        for folder, below, files in os.walk(start):
            below[:] = [name for name in below if name != "__pycache__"]
            for name in files:
                file = Path(folder, name)
                found.add("nestbench/" + place + file.relative_to(start).as_posix())
    return {name for name in found if not name.endswith((".pyc", ".nbi", ".nbc"))}


def build(source: Path, out: Path) -> tuple[Path, Path]:
    """Build an sdist and a wheel from a folder and return their paths."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(out)], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


def in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if name.startswith("nestbench/")}


def test_folders_of_the_root_are_linked_into_the_package() -> None:
    import nestbench

    here = Path(nestbench.__file__).parent
    for name in FOLDERS:
        link = ROOT / "src/nestbench" / name
        assert link.is_symlink(), f"{link} is no link: see CONTRIBUTING on checkouts without links"
        assert not Path(os.readlink(link)).is_absolute()
        assert link.resolve() == ROOT / name
        assert (here / name / "__init__.py").is_file()


def test_every_data_file_is_declared_where_it_lies() -> None:
    """Without a build: an editable install finds a file that nothing declares, a wheel lacks it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = [
        f"{package.replace('.', '/')}/{pattern}"
        for package, patterns in project["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
    ]
    data = {name for name in tree() if not name.endswith(".py")}
    of = {pattern: {name for name in data if _lies_at(name, pattern)} for pattern in declared}
    assert set().union(*of.values()) == data, "add it to [tool.setuptools.package-data]"
    assert all(of.values()), f"nothing matches {[pattern for pattern, files in of.items() if not files]}"


def _lies_at(name: str, pattern: str) -> bool:
    """Whether a file matches a pattern of its very folder, as setuptools understands it."""
    (folder, _, file), (package, _, shape) = name.rpartition("/"), pattern.rpartition("/")
    return folder == package and fnmatch(file, shape)


@pytest.mark.slow
def test_sdist_and_wheel_are_whole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info", "runs")
    shutil.copytree(ROOT, source, symlinks=True, ignore=ignored)
    (out := tmp_path / "out").mkdir()
    sdist, wheel = build(source, out)
    assert in_wheel(wheel) == tree()

    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    packed = {
        file.relative_to(unpacked / "src").as_posix()
        for file in (unpacked / "src/nestbench").rglob("*")
        if file.is_file()
    }
    assert packed == tree()
    (again := tmp_path / "again").mkdir()
    _, second = build(unpacked, again)
    assert in_wheel(second) == tree()
