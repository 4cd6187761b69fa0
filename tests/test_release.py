"""What a release rests on: one version, bounds that can be tested, and a script that says what is lacking."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import nestbench

ROOT = Path(__file__).parent.parent


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ci_{name}", ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def project() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_version_stands_in_one_place(project: Any) -> None:
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "nestbench.__version__"}
    assert script("release").version_of(ROOT) == nestbench.__version__
    assert "version:" not in (ROOT / "CITATION.cff").read_text(encoding="utf-8").replace("cff-version:", "")


def test_every_dependency_has_an_oldest_version(project: Any) -> None:
    made = script("minimum").constraints(project["project"]["dependencies"])
    assert len(made) == len(project["project"]["dependencies"])
    assert all(line.count("==") == 1 for line in made)
    shown = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "minimum.py")], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == made
    for wrong in ("numpy", "numpy<3", "numpy>=2,<3", "numpy~=2.0"):
        with pytest.raises(SystemExit, match="expected dependencies as name>=version"):
            script("minimum").constraints(["scipy>=1.0", wrong])


URLS = '[project.urls]\nSource = "https://example.org/nestbench"\n'


@pytest.mark.parametrize(
    ("heading", "urls", "tag", "lacking"),
    [
        ("## 1.2.0 (2027-01-31)", URLS, "v1.2.0", []),
        ("## 1.2.0 (unreleased)", URLS, "v1.2.0", ["CHANGELOG.md has no heading"]),
        ("## 1x2.0 (2027-01-31)", URLS, "v1.2.0", ["CHANGELOG.md has no heading"]),
        ("## 1.2.0 (2027-01-31)", URLS, "1.2.0", ["the tag is 1.2.0, the version 1.2.0: expected v1.2.0"]),
        ("## 1.1.0 (2027-01-31)", "", "v1.1.0", ["the tag is v1.1.0", "CHANGELOG.md", "has no Source"]),
    ],
)
def test_what_is_lacking_is_said(
    tmp_path: Path, heading: str, urls: str, tag: str, lacking: list[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "x"\n{urls}')
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n\n- A line.\n")
    found = script("release").lacking(tmp_path, "1.2.0", tag)
    assert len(found) == len(lacking)
    assert all(words in said for words, said in zip(lacking, found, strict=True))


def test_workflows_call_what_there_is(project: Any) -> None:
    """Scripts that they name exist, and the Pythons they test are those that the package claims."""
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    text += (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    for name in ("run", "minimum.py", "release.py"):
        assert f".ci/{name}" in text
        assert (ROOT / ".ci" / name).is_file()
    claimed = {line.split(" :: ")[-1] for line in project["project"]["classifiers"] if " :: 3." in line}
    (listed,) = (line for line in text.splitlines() if "python: [" in line)
    assert set(listed.split("[")[1].rstrip("]").replace('"', "").split(", ")) == claimed
