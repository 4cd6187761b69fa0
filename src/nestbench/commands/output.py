"""What commands say, and tables for users."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.experiments.experiment import Experiment
    from nestbench.experiments.results import Results


def say(text: str, err: bool = False, nl: bool = True) -> None:
    """Say something to a person, on stdout or stderr: names of files and of methods may hold what moves a cursor."""
    from nestbench.sim.visible import visible

    typer.echo(visible(text), err=err, nl=nl)


def say_missing(store: Results, whose: str = "") -> None:
    """Say on stderr what a run lacks, if anything: a damaged journal leaves a run that looks finished but small."""
    from nestbench.reports.words.missing import missing_sentence

    if lacking := missing_sentence(store):
        say(f"{whose}{lacking}", err=True)


def say_data(experiment: Experiment) -> None:
    """Say on stderr how the data that populations read from files were read, where not as they stand there."""
    for words in experiment.data_messages:
        say(f"data: {words}", err=True)


def write_csv(frame: pd.DataFrame, file: Path | None) -> None:
    """Write a frame as CSV to a file, or to stdout; floats as the shortest text that reads back the same."""
    from nestbench.reports.frames import csv_of

    write_text(csv_of(frame), file)


def write_text(text: str, file: Path | None) -> None:
    """Write a text to a file, or to stdout."""
    from nestbench.experiments.files import unwritable, write_atomically

    if file is None:
        # Not `say`, which would show control characters in the data as other ones.
        sys.stdout.write(text)
        return
    # `write_atomically` makes the folders of a run; one that a user mistyped shouldn't be made.
    if not file.parent.is_dir():
        raise unwritable(file, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    write_atomically(file, text.encode())
