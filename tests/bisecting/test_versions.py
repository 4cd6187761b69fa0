"""Versions between two, from what an index lists."""

from __future__ import annotations

import pytest

from nestbench.bisecting.versions import between, require_name, version_of
from nestbench.sim.errors import InvalidInput

KNOWN = ["1.10", "1.9", "1.9rc1", "1.2", "0.8", "2004d"]


def test_versions_are_in_their_own_order() -> None:
    assert between("it", "1.2", "1.10", KNOWN) == ["1.2", "1.9rc1", "1.9", "1.10"]
    assert between("it", "1.2.0", "1.9.0", KNOWN) == ["1.2", "1.9rc1", "1.9"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1.9", "1.2", "the older comes first"),
        ("1.2", "1.2", "the older comes first"),
        ("1.3", "1.9", r"that the index has, got 1\.3\..*Known: 0\.8, 1\.2"),
        ("latest", "1.9", "expected a version such as"),
    ],
)
def test_versions_that_are_none_or_in_the_wrong_order(old: str, new: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        between("it", old, new, KNOWN)


@pytest.mark.parametrize(
    "name", ["", "-r", "../it", "it==1", "git+https://x/y", "it[all]", "a b", "--pre", "it/"]
)
def test_what_pip_would_take_for_something_else_is_no_package(name: str) -> None:
    with pytest.raises(InvalidInput, match="expected the name of a package"):
        require_name(name)


def test_names_and_versions() -> None:
    for name in ("statsmodels", "lme-python", "zope.interface", "x"):
        require_name(name)
    assert version_of("1.9rc1").is_prerelease
