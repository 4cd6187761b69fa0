"""The pytest plugin: the fixture `accuracy`, its options, and the table of claims at the end of a session.

Nothing heavy is imported until a test asks for it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nestbench.testing.accuracy import Accuracy, ClaimRow
    from nestbench.testing.fits import Fits

_ROWS: pytest.StashKey[list[ClaimRow]] = pytest.StashKey()


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
    """Fits of this session (of this worker, under pytest-xdist): tests of one method on one population share them."""
    from nestbench.testing.fits import Fits

    return Fits()


@pytest.fixture
def accuracy(request: pytest.FixtureRequest, _nestbench_fits: Fits) -> Accuracy:
    """Claims about the accuracy of a method, each with a stated false-alarm rate: see `Accuracy`."""
    from nestbench.testing.accuracy import Accuracy

    config = request.config
    rows: list[ClaimRow] = []
    request.node.stash[_ROWS] = rows
    return Accuracy(
        seed=config.getoption("--nestbench-seed"),
        folder=request.path.parent,
        root=config.invocation_params.dir,
        scratch=_scratch(config),
        test=request.node.nodeid,
        update=config.getoption("--nestbench-update"),
        fits=_nestbench_fits,
        rows=rows,
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the claims of a test on its report, which travels between the processes of pytest-xdist."""
    report = yield
    if report.when == "call" and item.stash.get(_ROWS, None):
        # Plain values: pytest-xdist sends reports from its workers as JSON.
        report.nestbench = [dict(claim) for claim in item.stash[_ROWS]]  # type: ignore[attr-defined]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the claims of the session, unless it is a quiet one."""
    if terminalreporter.verbosity < 0:
        return
    rows = [claim for report in _reports(terminalreporter) for claim in getattr(report, "nestbench", ())]
    if rows:
        terminalreporter.write_sep("=", "claims of accuracy")
        for line in _table(rows):
            terminalreporter.write_line(line)


def _reports(reporter: pytest.TerminalReporter) -> Iterator[Any]:
    """Yield the reports of all tests that ran, whatever their outcome."""
    for outcome in ("passed", "failed", "xfailed", "xpassed"):
        yield from reporter.stats.get(outcome, ())


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the claims as lines of aligned columns."""
    cells = [("", "claim", "method", "n", "seconds", "seen, nearest to its bounds")]
    cells += [
        (
            "passed" if claim["passed"] else "FAILED",
            str(claim["claim"]),
            str(claim["method"]),
            str(claim["n"]),
            f"{claim['seconds']:.2f}",
            str(claim["seen"]),
        )
        for claim in rows
    ]
    # The last column is long, and nothing stands behind it to be aligned.
    widths = [max(len(row[i]) for row in cells) for i in range(5)]
    for row in cells:
        texts = [
            text.rjust(w) if i in (3, 4) else text.ljust(w)
            for i, (text, w) in enumerate(zip(row, widths, strict=False))
        ]
        yield "  ".join([*texts, row[5]]).rstrip()
