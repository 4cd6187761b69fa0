"""Baselines: fingerprints that forget nothing that matters, and files that read back the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from nestbench.estimators.engines.inference import wald
from nestbench.estimators.estimates import STORED_COLUMNS, Estimates, FitStatus
from nestbench.reports.accuracy import fingerprint as fp
from nestbench.reports.accuracy.baseline import baseline_of, df_ranges, measures_of
from nestbench.reports.accuracy.baseline_file import (
    experiment_of,
    numbers_of,
    ranges,
    read_baseline,
    to_json,
    write_baseline,
)
from nestbench.reports.measures.performance import performance_of_cell
from nestbench.sim.errors import InvalidInput, StoreError
from tests.reports.accuracy.gate_studies import changed, drawn, gate_study

RTOL = 1e-9


@pytest.fixture(scope="module")
def estimates() -> Estimates:
    return gate_study(reps=300).cells[0]["plain"]


def scaled(estimates: Estimates, factor: np.ndarray | float) -> Estimates:
    return replace(estimates, **{name: getattr(estimates, name) * factor for name in STORED_COLUMNS})


def any_moved(before: Estimates, after: Estimates, rtol: float = RTOL) -> np.ndarray:
    scales = fp.scales_of(before)
    old, new = fp.codes_of(before, scales, rtol), fp.codes_of(after, scales, rtol)
    return np.any([fp.moved(old[part], new[part]) for part in fp.PARTS], axis=0)


@pytest.mark.parametrize("rtol", [1e-9, 1e-4])
@pytest.mark.parametrize("seed", range(5))
def test_no_move_within_the_tolerance(estimates: Estimates, rtol: float, seed: int) -> None:
    signs = np.random.default_rng(seed).uniform(-1.0, 1.0, estimates.estimate.shape)
    assert not any_moved(estimates, scaled(estimates, 1.0 + 0.99 * rtol * signs), rtol).any()
    assert not any_moved(estimates, scaled(estimates, 1.0 + 0.99 * rtol), rtol).any()


@settings(max_examples=60, deadline=None)
@given(
    replication=some.integers(0, 299),
    term=some.integers(0, 3),
    column=some.sampled_from(STORED_COLUMNS),
    size=some.sampled_from([1e-6, 1e-3, 0.05, -2.0, np.nan, np.inf]),
)
def test_one_moved_number_is_one_moved_replication(
    estimates: Estimates, replication: int, term: int, column: str, size: float
) -> None:
    values = getattr(estimates, column).copy()
    values[replication, term] = values[replication, term] * (1 + size) + size
    moved = any_moved(estimates, replace(estimates, **{column: values}))
    assert list(np.flatnonzero(moved)) == [replication]


def test_codes_miss_no_more_than_promised(estimates: Estimates) -> None:
    rng = np.random.default_rng(0)
    missed = total = 0
    for _ in range(200):
        after = replace(estimates, std_error=estimates.std_error * rng.uniform(1.01, 2.0, (300, 1)))
        missed += int((~any_moved(estimates, after)).sum())
        total += 300
    # Three parts move together only if all of them are missed; std_error alone moves here: binomial(60000, 3/65536),
    # mean 2.7, P(>= 17) < 1e-8.
    assert missed <= 16, (missed, total)


def test_the_part_that_moved_is_named(estimates: Estimates) -> None:
    scales = fp.scales_of(estimates)
    after = replace(estimates, df=estimates.df - 1)
    old, new = (fp.codes_of(e, scales, RTOL) for e in (estimates, after))
    hit = {part: bool(fp.moved(old[part], new[part]).any()) for part in fp.PARTS}
    assert hit == {"estimates": False, "standard errors": False, "df, intervals, p-values": True}


def test_quantities_and_missing_numbers_count(estimates: Estimates) -> None:
    quantity = estimates.quantities["(icc)"].copy()
    quantity[7] += 0.01
    assert list(np.flatnonzero(any_moved(estimates, replace(estimates, quantities={"(icc)": quantity})))) == [
        7
    ]
    lost = estimates.estimate.copy()
    lost[9, 1] = np.nan
    assert list(np.flatnonzero(any_moved(estimates, replace(estimates, estimate=lost)))) == [9]


def test_digest_knows_every_number_and_nothing_else(estimates: Estimates) -> None:
    digest = fp.digest_of(estimates)
    assert digest == fp.digest_of(replace(estimates, seconds=np.ones(300), messages=("", "other")))
    for name in STORED_COLUMNS:
        values = getattr(estimates, name).copy()
        values[3, 2] = np.nextafter(values[3, 2], 10.0)
        assert fp.digest_of(replace(estimates, **{name: values})) != digest
    status = estimates.status.copy()
    status[0] = FitStatus.BOUNDARY
    assert fp.digest_of(replace(estimates, status=status)) != digest
    nans = [np.full_like(estimates.df, value) for value in (np.nan, -np.nan)]
    assert fp.digest_of(replace(estimates, df=nans[0])) == fp.digest_of(replace(estimates, df=nans[1]))


@given(some.lists(some.integers(0, 3000), unique=True).map(sorted))
def test_ranges_read_back(numbers: list[int]) -> None:
    text = ranges(np.array(numbers, dtype=np.int64))
    assert list(numbers_of(text)) == numbers
    assert len(text.split()) <= len(numbers)


def test_file_reads_back_the_same(tmp_path: Path) -> None:
    results = gate_study(reps=120)
    made = baseline_of(results, codes=100, sample=2)
    read = read_baseline(write_baseline(made, tmp_path / "new" / "accuracy.json"))
    assert to_json(read) == to_json(made)
    for cell, other in zip(made.cells, read.cells, strict=True):
        for label, record in cell.estimators.items():
            back = other.estimators[label]
            np.testing.assert_array_equal(record.replications, back.replications)
            np.testing.assert_array_equal(record.status, back.status)
            assert all(np.array_equal(record.codes[part][:100], back.codes[part]) for part in fp.PARTS)
            assert back.df == record.df
            assert back.scales == record.scales


def test_a_flipped_bit_is_said_or_changes_nothing(tmp_path: Path) -> None:
    """Text between the numbers may change; a number, a name or the seal itself may not."""
    file = tmp_path / "accuracy.json"
    written = write_baseline(baseline_of(gate_study(reps=20)), file).read_bytes()
    rng, same = np.random.default_rng(1), to_json(read_baseline(file))
    ends = {"refused": 0, "same": 0}
    for place, bit in zip(rng.integers(len(written), size=80), rng.integers(8, size=80), strict=True):
        file.write_bytes(written[:place] + bytes([written[place] ^ (1 << bit)]) + written[place + 1 :])
        try:
            assert to_json(read_baseline(file)) == same
            ends["same"] += 1
        except InvalidInput:
            ends["refused"] += 1
    assert ends["refused"] > 60, ends


def test_a_baseline_without_a_seal_is_read(tmp_path: Path) -> None:
    """As nestbench wrote them before."""
    file = write_baseline(baseline_of(gate_study(reps=20)), tmp_path / "accuracy.json")
    same = to_json(read_baseline(file))
    content = json.loads(file.read_text())
    del content["checksum"]
    file.write_text(json.dumps(content))
    assert to_json(read_baseline(file)) == same


def test_measures_are_those_of_the_reports(estimates: Estimates) -> None:
    results = gate_study(reps=300)
    cell = results.experiment.cells[0]
    kept = measures_of(estimates, cell)
    table = performance_of_cell({"plain": estimates}, cell.truth, cell.model)
    row = table[(table["term"] == "resources") & (table["measure"] == "coverage")].iloc[0]
    assert kept["resources"]["coverage"] == (row["value"], row["mcse"], row["n"])
    assert set(kept) == {"Intercept", "age", "gender[T.male]", "resources", "(icc)"}
    assert set(kept["(icc)"]) == {"bias", "empirical_se", "rmse", "usable_share"}


def test_df_ranges_leave_unusable_fits_out(estimates: Estimates) -> None:
    df, status = estimates.df.copy(), estimates.status.copy()
    df[0, :], status[0] = 3.0, FitStatus.FAILED
    assert set(df_ranges(replace(estimates, df=df, status=status)).values()) == {(9.0, 9.0)}


def test_small_and_readable() -> None:
    text = to_json(baseline_of(gate_study(reps=1000)))
    content = json.loads(text)
    pairs = sum(len(cell["estimators"]) for cell in content["cells"])
    # 3 codes of 2 bytes in base64 are 8 characters a replication, those kept 5.5 a term and 2.5 the quantity; the rest
    # doesn't grow with replications.
    assert len(text) < pairs * ((8 + 4 * 5.5 + 2.5) * 1000 + 6000)
    assert max(len(line) for line in text.splitlines() if '": "' not in line and len(line) < 2000) < 260
    assert content["cells"][0]["estimators"]["plain"]["measures"]["age"]["bias"][2] == 1000


def test_infinite_df_survives(tmp_path: Path) -> None:
    results = changed(gate_study(reps=20), "plain", df=lambda e: np.full_like(e.df, np.inf))
    made = read_baseline(write_baseline(baseline_of(results), tmp_path / "a.json"))
    assert set(made.cells[0].estimators["plain"].df.values()) == {(np.inf, np.inf)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("{", "written by 'nestbench baseline'"),
        ("[]", "written by 'nestbench baseline'"),
        ('{"format": "nestbench-accuracy", "version": 99}', "of format 3, got 99"),
        ('{"format": "nestbench-accuracy", "version": 3, "key": "x"}', "damaged"),
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "accuracy.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InvalidInput, match=message):
        read_baseline(file)


def test_experiment_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    made = baseline_of(gate_study(reps=5))
    with pytest.raises(InvalidInput, match=r"name the experiment instead"):
        experiment_of(replace(made, experiment={"name": "old", "seed": 1}), tmp_path)


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="expected to write"):
        write_baseline(baseline_of(gate_study(reps=5)), tmp_path / "file" / "accuracy.json")


@settings(max_examples=20, deadline=None)
@given(
    factor=some.floats(0.5, 2.0).filter(lambda f: abs(f - 1.0) >= 0.03),
    off=some.sampled_from([0.0, -1.0, 1.0]),
    seed=some.integers(0, 1000),
)
def test_other_errors_or_df_move_the_inference_of_every_replication(
    factor: float, off: float, seed: int
) -> None:
    """Limits move apart, which must not cancel; a code is hit by chance in 3 of 65 536 replications."""
    before = drawn(np.random.default_rng(seed), 60)
    for errors, df in ((before.std_error * factor, before.df), (before.std_error, before.df + off)):
        lower, upper, p_value = wald(before.estimate, errors, df, 0.95)
        after = replace(before, std_error=errors, df=df, lower=lower, upper=upper, p_value=p_value)
        scales = fp.scales_of(before)
        old, new = (fp.codes_of(e, scales, 1e-4)["df, intervals, p-values"] for e in (before, after))
        changed_at_all = bool(off) or errors is not before.std_error
        assert fp.moved(old, new).sum() >= 59 if changed_at_all else not fp.moved(old, new).any()
