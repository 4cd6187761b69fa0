"""To add one thing: a dummy of each kind, added to a copy as ARCHITECTURE says, gets tests by that alone and passes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("sim", "estimators", "experiments", "reports", "src", "tests", "docs")
SUITES = (
    "tests/estimators/test_contract.py",
    "tests/estimators/test_null.py",
    "tests/estimators/test_honoured.py",
    "tests/estimators/test_bad_input.py",
    "tests/estimators/equivalence/test_equivalence.py",
    "tests/testing/test_conformance_inference.py",
    "tests/sim/laws/test_every_law.py",
    "tests/experiments/toml",
    "tests/reports/measures/test_measures.py",
    "tests/reports/figures/test_kinds.py",
    "tests/reports/page/test_report.py",
    "tests/commands/test_help.py",
    "tests/test_words.py",
)


@dataclass(frozen=True, slots=True)
class Dummy:
    """What a contributor writes to add one thing.

    Attributes
    ----------
    name : str
        What the ids of its tests hold.
    least : int
        Tests that it must get.
    files : mapping
        New files.
    lines : mapping
        File -> what is put after which line of it (whose beginning is given).
    """

    name: str
    least: int
    files: dict[str, str] = field(default_factory=dict)
    lines: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)


METHOD = '''"""Pooled least squares, once more."""

from __future__ import annotations

import numpy as np

from nestbench.estimators.engines import ols_batched
from nestbench.estimators.engines.least_squares import LEAST_SQUARES, least_squares
from nestbench.estimators.engines.reference import Answer, DataSet, reference_engine
from nestbench.estimators.estimator import Agreement, Estimator, Info


def fit_dummy(data: DataSet) -> Answer:
    """Return OLS with its iid errors."""
    inner, back, shift = data.standardised()
    result = least_squares(inner, data.y)
    std_error = np.sqrt(np.diag(back @ result.cov_params() @ back.T))
    return Answer(back @ result.params + shift, std_error, result.df_resid)


_REFERENCE = reference_engine(fit_dummy)

DUMMY = Estimator(
    name="dummy-method",
    version=1,
    info=Info("Dummy", "a dummy", "independent errors", "N - p", "statsmodels OLS", (LEAST_SQUARES,) * 3),
    reference=_REFERENCE,
    batched=ols_batched.pooled_engine(ols_batched.iid, _REFERENCE),
    agreement=Agreement.DIRECT,
)
'''

POPULATION = '''"""A line, and school effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Batch, offsets_of
from nestbench.sim.observed.model import Model
from nestbench.sim.parameter import check_declared, documented, parameter
from nestbench.sim.streams import StreamSource


@documented
@dataclass(frozen=True, slots=True)
class Dummy:
    """A line, and school effects."""

    name: ClassVar[str] = "dummy-population"
    slope: float = parameter(0.5, "Effect of x.", low=-10.0, high=10.0)
    school_sd: float = parameter(0.4, "SD of the school effects.", low=0.0)

    def __post_init__(self) -> None:
        check_declared(self, "population")

    @property
    def truth(self) -> Mapping[str, float]:
        return {"Intercept": 1.0, "x": self.slope, "(school_sd)": self.school_sd, "(residual_sd)": 1.0}

    def theory(self, layout: Layout, model: Model | None = None) -> Mapping[str, Any]:
        return {}

    def draw(self, layout: Layout, streams: StreamSource, replications: range) -> Batch:
        sizes, r = layout.sizes(), len(replications)
        n = int(sizes.sum())
        z = np.stack([streams.at(i, "data").standard_normal(2 * n + len(sizes)) for i in replications])
        x, u = z[:, :n], np.repeat(z[:, 2 * n :], sizes, axis=1)
        return Batch(
            columns={"y": (1.0 + self.slope * x + self.school_sd * u + z[:, n : 2 * n]).ravel(), "x": x.ravel()},
            group="school",
            school_offsets=offsets_of(np.tile(sizes, r)),
            replication_offsets=np.arange(r + 1, dtype=np.int64) * len(sizes),
            replications=np.asarray(replications, dtype=np.int64),
            streams=streams,
        )
'''

FIGURE = '''"""Mean errors as dots, and nothing else."""

from __future__ import annotations

import altair as alt

from nestbench.reports.figures.drawing import FromTable, Shown
from nestbench.reports.figures.records import of_term
from nestbench.reports.figures.theme import Chart, inline


def dots(shown: Shown) -> Chart:
    """Return a dot a method and condition."""
    made = of_term(shown.table, shown.experiment, shown.measure, shown.term)
    return alt.Chart(inline(made)).mark_point().encode(x="value:Q", y="estimator:N").properties(width=300)


def words(shown: Shown) -> list[str]:
    """Say what a dot is."""
    return ["A dot: the mean error of a method in a condition."]


DUMMY = FromTable("bias", dots, words)
'''

SECTION = '''"""Which methods were run, in a line."""

from __future__ import annotations

from nestbench.experiments.experiment import Experiment


def methods_section(experiment: Experiment) -> str:
    """Return the methods' labels in a sentence."""
    return f"Run: {', '.join(method.label for method in experiment.estimators)}."
'''

COMMAND = '''"""``nestbench dummy-command``: say how many methods there are."""

from __future__ import annotations

import typer

EXAMPLES = ("nestbench dummy-command",)


def dummy() -> None:
    """Say how many methods there are."""
    from nestbench.estimators.methods.registry import known

    typer.echo(str(len(known())))
'''

EXPERIMENT = """
[experiment]
name = "dummy-experiment"
title = "A dummy"
aims = "To be read. Theory: naught."
replications = 100
seed = 1
estimators = ["ols"]

[model]
formula = "grade ~ age"
"""

DUMMIES = {
    "method": Dummy(
        "dummy-method",
        27,
        {"estimators/methods/dummy.py": METHOD},
        {
            "estimators/methods/registry.py": (
                ("from nestbench.estimators.methods import (", "    dummy,"),
                ('    "Pooled least squares": (', "        dummy.DUMMY,"),
            )
        },
    ),
    "population": Dummy(
        "dummy-population",
        10,
        {"sim/laws/dummy.py": POPULATION},
        {
            "sim/laws/registry.py": (
                ("from nestbench.sim.laws.fixed_design", "from nestbench.sim.laws.dummy import Dummy"),
                ("_ADDED: ", "LAWS = (*LAWS, Dummy)"),
            ),
            "tests/sim/laws/examples.py": (
                ("from nestbench.sim.laws.fixed_design", "from nestbench.sim.laws.dummy import Dummy"),
                (
                    "EXAMPLES: ",
                    'EXAMPLES[Dummy.name] = lambda folder: Cell(Dummy(), Layout(12, 8), Model("y ~ x"))',
                ),
            ),
        },
    ),
    "parameter": Dummy(
        "dummy_shift",
        2,
        {},
        {
            "sim/random_intercept/parameters.py": (
                (
                    '    """What `RandomIntercept` says',
                    '\n    dummy_shift: float = parameter(0.0, "Added to ages over 15.", low=-5.0, high=5.0)',
                ),
            ),
            "sim/random_intercept/students.py": (
                (
                    "    counts = sizes.ravel()",
                    '    columns["age"] = (a := _floats(columns["age"])) + law.dummy_shift * (a > 15.0)',
                ),
            ),
            "sim/random_intercept/statistics.py": (
                (
                    "    if law.residual_age or",
                    '        return "the residual variance depends on age"\n    if law.dummy_shift:',
                ),
            ),
        },
    ),
    "measure": Dummy(
        "dummy_mae",
        3,
        {},
        {
            "reports/measures/declared.py": (
                (
                    "ESTIMATION = (",
                    '    mean_of(lambda d: np.abs(d.once(st.error)), "dummy_mae", "Mean absolute error", "mean |d|", '
                    "Unit.ESTIMATE, TRUTH),",
                ),
            ),
            "tests/oracles/measures.py": (
                (
                    "    table: dict",
                    '        "dummy_mae": lambda: _mean([abs(r["t"] - r["th"]) for r in rows]),',
                ),
            ),
        },
    ),
    "figure": Dummy(
        "dummy-figure",
        7,
        {"reports/figures/dummy.py": FIGURE},
        {
            "reports/figures/kinds.py": (
                (
                    "KINDS: ",
                    '    "dummy-figure": Kind("the mean error of each method", _PANELS, "dummy:DUMMY"),',
                ),
            ),
        },
    ),
    "section of the report": Dummy(
        "dummy-section",
        1,
        {"reports/page/dummy.py": SECTION},
        {
            "reports/page/report.py": (
                (
                    "from nestbench.reports.page.breaks",
                    "from nestbench.reports.page.dummy import methods_section",
                ),
                ("        remarks=seen.remarks", "        dummy=methods_section(experiment),"),
            ),
            "reports/page/page.html.jinja": (
                (
                    "<main>",
                    '<section aria-labelledby="dummy-section-head"><h2 id="dummy-section-head">Methods</h2>'
                    "<p>{{ dummy }}</p></section>",
                ),
            ),
        },
    ),
    "experiment": Dummy("dummy-experiment", 3, {"experiments/catalog/dummy-experiment.toml": EXPERIMENT}),
    "command": Dummy(
        "dummy-command",
        5,
        {"src/nestbench/commands/dummy.py": COMMAND},
        {
            "src/nestbench/cli.py": (("COMMANDS = {", '    "dummy-command": "dummy.dummy",'),),
        },
    ),
}


def add(dummy: Dummy, root: Path) -> None:
    """Write the files of a dummy, and put its lines after the first line that begins as they say."""
    for name, text in dummy.files.items():
        assert not (root / name).exists()
        (root / name).write_text(text, encoding="utf-8")
    for name, lines in dummy.lines.items():
        written = (root / name).read_text(encoding="utf-8").splitlines()
        for after, line in lines:
            place = next(i for i, there in enumerate(written) if there.startswith(after))
            written.insert(place + 1, line)
        (root / name).write_text("\n".join(written) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Id of each test of a dummy -> what was wrong with it, in a copy to which all dummies were added."""
    root = tmp_path_factory.mktemp("copy")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name, symlinks=True, ignore=shutil.ignore_patterns("_build"))
    for file in (file for file in ROOT.iterdir() if file.is_file()):
        shutil.copy2(file, root)
    for dummy in DUMMIES.values():
        add(dummy, root)
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", "-k", "dummy"]
    done = subprocess.run(
        [*command, "--junitxml", "found.xml", *SUITES],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout[-3000:] + done.stderr[-3000:]
    return {
        case.attrib["name"]: next((wrong.attrib.get("message", "")[:300] for wrong in case), "")
        for case in ET.parse(root / "found.xml").iter("testcase")
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", DUMMIES)
def test_what_is_added_gets_its_tests_and_passes_them(kind: str, outcomes: dict[str, str]) -> None:
    own = {name: wrong for name, wrong in outcomes.items() if DUMMIES[kind].name in name}
    assert {name: wrong for name, wrong in own.items() if wrong} == {}
    assert len(own) >= DUMMIES[kind].least, sorted(own)


@pytest.mark.parametrize("kind", DUMMIES)
def test_architecture_names_every_file_that_is_touched(kind: str) -> None:
    """In the row of its kind, the file or the folder that it is put into."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Adding one thing")[1]
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {kind}")]
    for name in DUMMIES[kind].files:
        assert f"`{name.rpartition('/')[0]}/`" in row
    for name in DUMMIES[kind].lines:
        assert f"`{name}`" in row or f"`{name.rpartition('/')[0]}/`" in row, name
