"""The pytest plugin: the fixture `accuracy` and its options. Nothing heavy is imported until a test asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nestbench.accuracy import Accuracy
    from nestbench.study import Fits


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--nestbench-update`` and ``--nestbench-seed``."""
    group = parser.getgroup("nestbench", "accuracy of statistical methods (nestbench)")
    group.addoption(
        "--nestbench-update",
        action="store_true",
        default=False,
        help="rewrite the baselines of accuracy.assert_no_regression instead of comparing with them",
    )
    group.addoption(
        "--nestbench-seed",
        type=int,
        default=None,
        metavar="N",
        help="seed of the data that accuracy tests draw (default: a fixed one)",
    )


def _scratch(config: pytest.Config) -> Path:
    """Return the folder for studies of failed assertions: pytest's cache, or `.nestbench` where it is switched off."""
    cache: pytest.Cache | None = getattr(config, "cache", None)
    return Path(cache.mkdir("nestbench")) if cache else Path(config.rootpath) / ".nestbench"


@pytest.fixture(scope="session")
def _nestbench_fits() -> Fits:
    """Fits of this session (of this worker, under pytest-xdist): tests of one method on one law share them."""
    from nestbench.study import Fits

    return Fits()


@pytest.fixture
def accuracy(request: pytest.FixtureRequest, _nestbench_fits: Fits) -> Accuracy:
    """Claims about the accuracy of a method, each with a stated false-alarm rate: see `nestbench.accuracy.Accuracy`."""
    from nestbench.accuracy import Accuracy

    config = request.config
    return Accuracy(
        seed=config.getoption("--nestbench-seed"),
        folder=request.path.parent,
        scratch=_scratch(config),
        test=request.node.nodeid,
        update=config.getoption("--nestbench-update"),
        fits=_nestbench_fits,
    )
