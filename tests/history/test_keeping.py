"""The file: read as it was written, merged by git, and in words where it is something else."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from nestbench.history.commits import commit_here
from nestbench.history.entry import Entry
from nestbench.history.keeping import load, save, with_run
from nestbench.history.recording import entries_of
from nestbench.sim.errors import InvalidInput
from tests.history.runs import day, history_of
from tests.reports.accuracy.gate_studies import gate_study, scaled_se, with_defect


def plain(entries: list[Entry]) -> list[object]:
    return [one.plain for one in entries]


def test_what_is_written_is_read_and_of_one_commit_and_seed_the_last_run_counts(tmp_path: Path) -> None:
    run = gate_study(40, cells=1)
    entries, file = history_of([run, run]), tmp_path / "h.jsonl"
    save(entries, file)
    assert plain(load(file)) == plain(entries)
    assert all(json.loads(line)["format"] == 1 for line in file.read_text().splitlines())
    again = with_run(load(file), entries_of(with_defect(run, "plain", scaled_se(2.0)), day(1)))
    assert len(again) == len(entries)
    other = with_run(again, entries_of(gate_study(40, 2, cells=1), day(1)))
    assert len({one.run for one in other}) == 3
    assert load(tmp_path / "none.jsonl") == []


def test_lines_in_any_order_twice_and_with_blanks_are_the_same_history(tmp_path: Path) -> None:
    entries, file = history_of([gate_study(20, cells=1)] * 2), tmp_path / "h.jsonl"
    save(entries, file)
    lines = file.read_text().splitlines()
    file.write_text("\ufeff" + "\r\n\r\n".join([*reversed(lines), lines[3]]))
    assert plain(load(file)) == plain(entries)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<<<<<<< HEAD\n", "git's '<<<<<<<' in line 1.*delete the marker lines.*merge=union"),
        ("{}\n", "line 1 of .*: 'format' is missing"),
        ("a,b\n1,2\n", "in line 1 of .*no JSON"),
        ('{"format": 2}\n', "another: format 2"),
        ('{"format": 1, "study": 3}\n', "3 is no text"),
        ("[1]\n", "in line 1"),
        ("\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "in line 1"),
    ],
)
def test_other_files_are_told_in_words(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "h.jsonl"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=said):
        load(file)


def test_binary_files_and_lines_that_were_cut_are_told(tmp_path: Path) -> None:
    file = tmp_path / "h.jsonl"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="can't be read"):
        load(file)
    save(history_of([gate_study(20, cells=1)]), file)
    whole = file.read_text()
    for cut in range(20, whole.index("\n") - 1, 97):
        file.write_text(whole[:cut])
        with pytest.raises(InvalidInput, match="line 1 of"):
            load(file)
    first = json.loads(whole.splitlines()[0])
    first["measures"]["bias"][4] = "AAAA"
    file.write_text(json.dumps(first))
    with pytest.raises(InvalidInput, match=r"expected a line of a history.*in line 1"):
        load(file)


def test_a_run_of_another_study_is_refused() -> None:
    entries = history_of([gate_study(20, cells=1)])
    run = gate_study(20, cells=1)
    run.experiment = replace(run.experiment, name="other")
    with pytest.raises(InvalidInput, match="'gate', which the history is of, got one of 'other'"):
        with_run(entries, entries_of(run, day(1)))


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_two_branches_that_both_added_a_run_merge(tmp_path: Path) -> None:
    run, file = gate_study(20, cells=1), tmp_path / "h.jsonl"
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitattributes").write_text("h.jsonl merge=union\n")
    start = history_of([run])
    save(start, file)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "start")
    for number, branch in ((1, "one"), (2, "two")):
        git(tmp_path, "checkout", "-qb", branch, "main")
        save(with_run(load(file), entries_of(run, day(number))), file)
        git(tmp_path, "commit", "-qam", branch)
    git(tmp_path, "merge", "-q", "-m", "both", "one")
    assert plain(load(file)) == plain(history_of([run] * 3))


def test_the_commit_is_gits_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    file = Path("h.jsonl")
    with pytest.raises(InvalidInput, match="--commit NAME"):
        commit_here(file)
    assert commit_here(file, "1.0", "2026-11-26T10:00:00+01:00").date == "2026-11-26T09:00:00+00:00"
    with pytest.raises(InvalidInput, match="ISO 8601, got 'yesterday'"):
        commit_here(file, "1.0", "yesterday")
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("1")
    file.write_text("")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first", "--date", "2026-01-02T03:04:05Z")
    found = commit_here(file)
    assert git(tmp_path, "rev-parse", "HEAD").startswith(found.name)
    assert len(found.name) == 12
    file.write_text("more")
    assert commit_here(file) == found
    (tmp_path / "code.py").write_text("2")
    assert commit_here(file).name == f"{found.name}+changes"
