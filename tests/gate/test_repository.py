"""What a repository is, found out without asking: as maintainers' repositories are, and as none should be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nestbench.gate.declared import declared_in, python_for
from nestbench.gate.repository import look
from nestbench.sim.errors import InvalidInput


def made(root: Path, **files: str) -> Path:
    """A folder with files, by path with two underscores for a slash."""
    for name, text in files.items():
        file = root / name.replace("__", "/").replace("_DOT_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def git(root: Path, head: str = "main", remote: str = "") -> Path:
    """Git's own files, as far as they are read."""
    (root / ".git/refs/remotes/origin").mkdir(parents=True)
    (root / ".git/HEAD").write_text(f"ref: refs/heads/{head}\n")
    if remote:
        (root / ".git/refs/remotes/origin/HEAD").write_text(f"ref: refs/remotes/origin/{remote}\n")
    return root


def package(root: Path, place: str, name: str = "") -> None:
    folder = root / place
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    if name:
        (root / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')


@pytest.mark.parametrize(
    ("place", "name", "module"),
    [
        ("src/my_fits", "my-fits", "my_fits"),
        ("my_fits", "My.Fits", "my_fits"),
        ("python/other", "my-fits", "other"),
        ("lib/my_fits", "my_fits", "my_fits"),
    ],
)
def test_code_is_found_where_people_put_it(tmp_path: Path, place: str, name: str, module: str) -> None:
    package(tmp_path, place, name)
    found = look(tmp_path)
    assert (found.package, found.module, found.code) == (name, module, place)


def test_a_single_module_is_code_and_an_unknown_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "one-file"\n')
    assert "imported as one_file (not found in this folder)" in look(tmp_path).described()
    (tmp_path / "one_file.py").write_text("")
    assert look(tmp_path).code == "one_file.py"


@pytest.mark.parametrize(
    ("file", "text", "name", "python"),
    [
        ("pyproject.toml", '[project]\nname = "a"\nrequires-python = ">=3.10"\n', "a", ">=3.10"),
        (
            "pyproject.toml",
            '[tool.poetry]\nname = "b"\n[tool.poetry.dependencies]\npython = "^3.9"\n',
            "b",
            "^3.9",
        ),
        ("pyproject.toml", '[tool.flit.metadata]\nmodule = "c"\n', "c", ""),
        ("setup.cfg", "[metadata]\nname = d\n[options]\npython_requires = >=3.8\n", "d", ">=3.8"),
        (
            "setup.py",
            "import setuptools\nNAME = 'e'\nsetuptools.setup(name=NAME, python_requires='>3')\n",
            "e",
            ">3",
        ),
        ("setup.py", "from setuptools import setup\nsetup(name=find_name())\n", "", ""),
    ],
)
def test_names_are_read_from_every_file_that_says_them(
    tmp_path: Path, file: str, text: str, name: str, python: str
) -> None:
    (tmp_path / file).write_text(text)
    said = declared_in(tmp_path)
    assert (said.name, said.python) == (name, python)


def test_a_setup_py_is_read_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("from setuptools import setup\nsetup(name='f')\nopen('ran', 'w')\n")
    assert look(tmp_path).package == "f"
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("file", "text"),
    [("pyproject.toml", "[project\n"), ("setup.cfg", "name = x\n"), ("setup.py", "def (:\n")],
)
def test_a_file_that_cannot_be_read_is_said_and_the_others_are(tmp_path: Path, file: str, text: str) -> None:
    names = {"setup.cfg": "[metadata]\nname = g\n", "setup.py": "setup(name='g')\n"}
    for other, named in names.items():
        (tmp_path / other).write_text(named)
    (tmp_path / file).write_text(text)
    found = look(tmp_path)
    assert found.package == "g"
    assert f"{file} can't be read" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("wanted", "python"),
    [
        ("", "3.12"),
        (">=3.9", "3.12"),
        (">=3.13", "3.13"),
        ("<3.12", "3.11"),
        (">=3.9,<3.12,!=3.11.*", None),
        ("!=3.12.*", "3.13"),
        ("!=3.12.1", "3.12"),
        ("==3.11.*", "3.11"),
        ("~=3.10", "3.12"),
        ("^3.9", "3.12"),
        ("<3.10", None),
        (">3", "3.12"),
        ("nonsense", "3.12"),
    ],
)
def test_the_workflows_python_is_one_that_both_take(wanted: str, python: str | None) -> None:
    assert python_for(wanted) == python


def test_a_python_that_nestbench_lacks_is_said(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "old"\nrequires-python = "<3.10"\n')
    assert "the package takes Python <3.10, nestbench 3.11 or later" in look(tmp_path).notes[0]


def test_tests_are_found_beside_and_inside_and_none_are_said(tmp_path: Path) -> None:
    package(tmp_path, "fits", "fits")
    assert "no tests (the gate needs none)" in look(tmp_path).described()
    package(tmp_path, "fits/robust/tests")
    assert look(tmp_path).tests == "fits/robust/tests"
    (tmp_path / "tests").mkdir()
    assert look(tmp_path).tests == "tests"


def test_the_branch_is_the_remotes_else_the_one_checked_out_else_main(tmp_path: Path) -> None:
    package(tmp_path, "fits", "fits")
    assert (look(tmp_path).branch, look(tmp_path).git) == ("main", False)
    assert "no git repository" in look(tmp_path).described()
    git(tmp_path, head="topic", remote="release/2.0")
    assert look(tmp_path).branch == "release/2.0"
    (tmp_path / ".git/refs/remotes/origin/HEAD").unlink()
    assert look(tmp_path).branch == "topic"
    (tmp_path / ".git/HEAD").write_text("0123456789abcdef\n")
    assert look(tmp_path).branch == "main"


def test_a_worktree_is_a_repository(tmp_path: Path) -> None:
    git(tmp_path / "main", head="dev")
    own = tmp_path / "main/.git/worktrees/here"
    own.mkdir(parents=True)
    (own / "commondir").write_text("../..\n")
    package(tmp_path / "here", "fits", "fits")
    (tmp_path / "here/.git").write_text(f"gitdir: {own}\n")
    assert look(tmp_path / "here").branch == "dev"


def test_what_a_repository_has_of_its_own_is_said(tmp_path: Path) -> None:
    package(tmp_path, "fits", "fits")
    for name in ("sim", "nestbench"):
        (tmp_path / name).mkdir()
    made(tmp_path / ".github/workflows", ci_DOT_yml="", docs_DOT_yaml="", notes_DOT_txt="")
    found = look(tmp_path)
    assert "workflows ci.yml, docs.yaml" in found.described()
    (note,) = found.notes
    assert note.startswith("sim/, nestbench/: yours; nestbench imports nothing of that name but itself")


def test_a_folder_in_a_repository_is_told_from_its_root(tmp_path: Path) -> None:
    git(tmp_path)
    (tmp_path / "docs").mkdir()
    with pytest.raises(InvalidInput, match=r"got a folder in .*; type: nestbench ci init"):
        look(tmp_path / "docs")
    package(tmp_path / "packages/fits", "fits", "fits")
    found = look(tmp_path / "packages/fits")
    assert found.branch == "main"
    assert f"{tmp_path / '.github/workflows'} alone" in found.notes[0]


def test_no_package_and_no_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="name it: nestbench ci init --package NAME"):
        look(tmp_path)
    assert look(tmp_path, "given").module == "given"
    for wrong in ("évil name", "--upgrade", "a/b", "."):
        with pytest.raises(InvalidInput, match="expected --package as pip installs it, got"):
            look(tmp_path, wrong)
    (tmp_path / "pyproject.toml").write_text("[project\n")
    with pytest.raises(InvalidInput, match=r"got none \(pyproject.toml can't be read \(.*line 1"):
        look(tmp_path)
    (tmp_path / "pyproject.toml").unlink()
    with pytest.raises(InvalidInput, match="expected the folder of a repository"):
        look(tmp_path / "none")


def test_names_cannot_move_a_cursor_or_leave_the_workflow(tmp_path: Path) -> None:
    """A name of strange characters is none; a branch of them isn't believed."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a\\u001b[2J\\nrun: x"\n')
    with pytest.raises(InvalidInput, match="got none"):
        look(tmp_path)
    package(tmp_path, "fits", "fits")
    git(tmp_path, head='x"] }')
    assert look(tmp_path).branch == "main"


@pytest.mark.posix
@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    package(tmp_path, "fits", "fits")
    (tmp_path / "src").mkdir(mode=0o000)
    assert look(tmp_path).code == "fits"
