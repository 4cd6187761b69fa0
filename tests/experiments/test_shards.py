"""Parts made apart and joined give the bytes of one run; what doesn't belong together is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.shards import Shard
from nestbench.experiments.storing.merging import merge
from nestbench.experiments.storing.store import Store
from nestbench.sim.errors import InvalidInput, StoreError
from tests.experiments.running.test_start import Counter, bytes_of_fits

WHERE = {"made": "by a test"}


@pytest.fixture
def parts(tiny: Experiment, tmp_path: Path) -> list[Path]:
    made = [
        run_experiment(tiny, tmp_path / f"part{i}", workers=1, block=5, shard=f"{i}/3") for i in (1, 2, 3)
    ]
    assert [len(store.entries) for store in made] == [4, 4, 4]
    return [store.folder for store in made]


def test_joined_parts_are_one_run(tiny: Experiment, parts: list[Path], tmp_path: Path) -> None:
    store, notes = merge(parts[::-1], tmp_path / "joined", WHERE)
    assert notes == []
    assert Store.open(tmp_path / "joined").missing() == []
    whole = run_experiment(tiny, tmp_path / "whole", workers=1, block=5)
    assert bytes_of_fits(store.folder) == bytes_of_fits(whole.folder)


def test_missing_and_damaged_parts_are_listed_and_made(
    tiny: Experiment, parts: list[Path], tmp_path: Path
) -> None:
    entry = Store.open(parts[0]).finished(0)[0]
    (parts[0] / entry.files[0][0]).write_bytes(b"")
    _, notes = merge(parts[:2], tmp_path / "joined", WHERE)
    assert any("has 0 bytes where" in note for note in notes)
    assert "missing: part 3/3" in notes
    counter = Counter()
    resumed = run_experiment(tmp_path / "joined", workers=1, progress=counter)
    assert counter.tasks == 5
    whole = run_experiment(tiny, tmp_path / "whole", workers=1, block=5)
    assert bytes_of_fits(resumed.folder) == bytes_of_fits(whole.folder)


def test_overlap_and_foreign_parts_are_refused(tiny: Experiment, parts: list[Path], tmp_path: Path) -> None:
    again = run_experiment(tiny, tmp_path / "again", workers=1, block=5, shard="1/3")
    other = run_experiment(tiny, tmp_path / "o", workers=1, block=5, shard="1/3", changes={"seed": 9})
    longer = run_experiment(
        tiny, tmp_path / "l", workers=1, block=5, shard="1/3", changes={"replications": 14}
    )
    with pytest.raises(StoreError, match=r"without overlap.*part1.*again"):
        merge([*parts, again.folder], tmp_path / "a", WHERE)
    with pytest.raises(StoreError, match="parts of one experiment"):
        merge([*parts, other.folder], tmp_path / "b", WHERE)
    with pytest.raises(StoreError, match="same replications"):
        merge([parts[1], longer.folder], tmp_path / "c", WHERE)
    assert not (tmp_path / "a").exists()


def test_a_directory_keeps_its_part(tiny: Experiment, parts: list[Path]) -> None:
    with pytest.raises(StoreError, match="hold part 2/3, got part 1/3"):
        run_experiment(tiny, parts[0], workers=1, shard="2/3")


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "-1/3", "1/0"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(InvalidInput, match="such as 3/100"):
        Shard.parse(text)
