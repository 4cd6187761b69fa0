"""The fixed-design law: X as in the file, errors drawn, keys by content."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.laws import fixed_design
from nestbench.sim.laws.fixed_design import FixedDesign
from nestbench.sim.observed.batch import Category
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource
from tests.oracles import sandwich_exact as dense

EFFECTS = {"Intercept": 1.0, "hours": 0.5, "kind[T.b]": -2.0}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {"hours": rng.normal(size=40), "kind": rng.choice(["a", "b"], 40), "house": np.arange(40) % 7}
    )
    frame["score"] = 3.0
    frame.to_csv(tmp_path / "design.csv", index=False)
    return tmp_path / "design.csv"


def law(file: Path, **parameters: Any) -> FixedDesign:
    chosen = {
        "formula": "hours + kind",
        "school": "house",
        "outcome": "score",
        "effects": EFFECTS,
        **parameters,
    }
    return FixedDesign(data=str(file), **chosen)


def test_only_the_outcome_differs_between_replications(file: Path) -> None:
    batch = law(file, total_sd=2.0).draw(Layout(), StreamSource(1, "k"), range(3))
    frames = [batch.replication(r).frame() for r in range(3)]
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame.drop(columns="score"), frames[0].drop(columns="score"))
        assert (frame["score"] != frames[0]["score"]).all()
    source = pd.read_csv(file).sort_values("house", kind="stable")
    np.testing.assert_array_equal(frames[0]["hours"], source["hours"])
    assert frames[0]["house"].tolist() == source["house"].astype(str).tolist()


def test_equation_and_chunks(file: Path) -> None:
    """Outcome = X effects + u + e on the replication's own normals: residuals first, then schools."""
    population = law(file, icc=0.5, total_sd=3.0, version=1)
    batch = population.draw(Layout(), StreamSource(1, "k"), range(4))
    kind = batch.columns["kind"]
    assert isinstance(kind, Category)
    for r in range(4):
        rows, z = batch.replication(r).rows, StreamSource(1, "k").new(r, "data").standard_normal(47)
        hours, schools = batch.columns["hours"][rows], batch.replication(r).groups  # type: ignore[index]
        expected = 1.0 + 0.5 * hours - 2.0 * kind.codes[rows] + np.sqrt(4.5) * (z[:40] + z[40:][schools])
        np.testing.assert_allclose(batch.columns["score"][rows], expected, rtol=1e-12)  # type: ignore[index]
    later = population.draw(Layout(), StreamSource(1, "k"), range(2, 4))
    np.testing.assert_array_equal(later.columns["score"], batch.columns["score"][80:])  # type: ignore[index]


def test_keys_follow_the_content_and_not_the_path(file: Path) -> None:
    copy = file.with_name("copy.csv")
    copy.write_bytes(file.read_bytes())
    keys = [Cell(law(f), Layout(), Model()).key for f in (file, copy)]
    assert keys[0] == keys[1]
    copy.write_text(file.read_text().replace("a", "c", 1).replace("c", "a", 1) + "0.5,a,3,3.0\n")
    assert Cell(law(copy), Layout(), Model()).key != keys[0]


def test_a_worker_reads_the_file_again_and_notices_a_change(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = pickle.dumps(law(file))
    monkeypatch.setattr(fixed_design, "_DESIGNS", {})
    assert pickle.loads(sent).truth["hours"] == 0.5
    monkeypatch.setattr(fixed_design, "_DESIGNS", {})
    file.write_text(file.read_text() + "0.5,a,3,3.0\n")
    with pytest.raises(InvalidInput, match="as it was"):
        pickle.loads(sent).draw(Layout(), StreamSource(1, "k"), range(1))


def test_theory_is_exact_for_this_design(file: Path) -> None:
    population = law(file, icc=0.3)
    known = population.theory(Layout(), Model(formula="score ~ hours + kind", group="house"))
    batch = population.draw(Layout(), StreamSource(0, "k"), range(1))
    kind, groups = batch.columns["kind"], batch.replication(0).groups
    assert isinstance(kind, Category)
    x = np.column_stack([np.ones(40), batch.columns["hours"], kind.codes])
    omega = 0.7 * np.eye(40) + 0.3 * (groups[:, None] == groups)
    size, expected, variance = dense.size(x, omega, groups, 1, "cr3", 2.4469118511449692)
    assert known["coverage"]["cr3-t"]["hours"] == pytest.approx(1 - size, abs=1e-7)
    assert known["se_ratio"]["cr3-t"]["hours"] == pytest.approx(np.sqrt(expected / variance), rel=1e-9)
    assert known["design_effect"] == pytest.approx(1 + (np.bincount(groups) ** 2).sum() / 40 * 0.3 - 0.3)


@pytest.mark.parametrize(
    "formula", ["score ~ hours", "hours ~ kind", "np.exp(score) ~ hours + kind", "score ~ 0 + hours"]
)
def test_nothing_is_known_of_models_that_leave_the_law(file: Path, formula: str) -> None:
    """What the model leaves out is in its errors, design effect included; another outcome is another law's."""
    assert law(file).theory(Layout(), Model(formula=formula, group="house")) == {}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"school": "home"}, ["'home'", "hours, kind, house", "population.school"]),
        ({"effects": {"hour": 1.0}}, ["population.effects", "Did you mean 'hours'?"]),
        ({"formula": "hour"}, ["Did you mean 'hours'?"]),
        ({"icc": 1.0}, ["population.icc"]),
        ({"residual_shape": "gamma"}, ["population.residual_shape"]),
    ],
)
def test_errors_name_what_is_wrong(file: Path, parameters: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        law(file, **parameters)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_files_that_cannot_be_used(file: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"readable table, got '.*nowhere.csv'"):
        law(tmp_path / "nowhere.csv")
    gaps = tmp_path / "gaps.csv"
    gaps.write_text("hours,kind,house\n1,a,\n2,b,3\n")
    with pytest.raises(InvalidInput, match="missing values"):
        law(gaps)
    with pytest.raises(InvalidInput, match=r"layout.schools can't be combined"):
        Cell(law(file), Layout(schools=5), Model())


WRITTEN = {
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "packed": lambda text: gzip.compress(text.encode()),
    "a gap in a column that nothing uses": lambda text: text.replace(",3.0\n", ",\n", 2).encode(),
    "a trailing comma": lambda text: text.replace("\n", ",\n").encode(),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_same_table_however_it_is_written(kind: str, file: Path) -> None:
    usual = law(file).draw(Layout(), StreamSource(1, "k"), range(2))
    file.write_bytes(WRITTEN[kind](file.read_text()))
    again = law(file).draw(Layout(), StreamSource(1, "k"), range(2))
    for r in range(2):
        pd.testing.assert_frame_equal(again.replication(r).frame(), usual.replication(r).frame())


def test_labels_are_text(tmp_path: Path) -> None:
    ids = ["1", "01", "1.0", "100000000000000001", "100000000000000002"]
    rows = "\n".join(f"{school},{i}" for school in ids for i in range(3))
    (tmp_path / "ids.csv").write_text(f"school,x\n{rows}\n")
    batch = FixedDesign(str(tmp_path / "ids.csv"), "x").draw(Layout(), StreamSource(1, "k"), range(1))
    assert batch.replication(0).labels == sorted(ids)


def test_a_gap_matters_where_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "gap.csv").write_text("school,x,note\n1,0.5,\n1,,a\n2,1.5,b\n2,2.5,c\n")
    FixedDesign(str(tmp_path / "gap.csv"), "1")
    with pytest.raises(InvalidInput, match=r"missing values in 'x', got 1 in 4 rows"):
        FixedDesign(str(tmp_path / "gap.csv"), "x")
    (tmp_path / "rows.csv").write_text("school,x\n1,0.5\n1,2,3,4\n")
    with pytest.raises(InvalidInput, match=r"population.data: .* got 4 in line 3"):
        FixedDesign(str(tmp_path / "rows.csv"), "x")


@pytest.mark.parametrize("model", [Model("grade ~ note"), Model("grade ~ x", random="1 + x")])
def test_a_gap_that_only_the_model_needs_is_called_one(model: Model, tmp_path: Path) -> None:
    """Not "no such column": it stands in the file."""
    (tmp_path / "gap.csv").write_text("school,x,note\n1,0.5,\n1,,a\n2,1.5,b\n2,2.5,c\n")
    with pytest.raises(InvalidInput, match=r"no missing values in '(note|x)', got 1 in 4 rows"):
        Cell(FixedDesign(str(tmp_path / "gap.csv"), "1"), Layout(), model)


def test_numbers_that_may_be_two_are_refused_where_they_are_used(tmp_path: Path) -> None:
    (tmp_path / "two.csv").write_text("school;x\n1;7,288\n1;6,123\n2;5,000\n2;1,200\n")
    FixedDesign(str(tmp_path / "two.csv"), "1")
    with pytest.raises(InvalidInput, match="numbers with one meaning in 'x'"):
        FixedDesign(str(tmp_path / "two.csv"), "x")
