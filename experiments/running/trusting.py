"""Runs whose code is to run: only what the user named in a TOML of their own, or trusts by saying so."""

from __future__ import annotations

from pathlib import Path

from nestbench.experiments.experiment import Plugin
from nestbench.experiments.storing.store import Store
from nestbench.experiments.toml.named import is_named
from nestbench.sim.errors import InvalidInput


def open_with_code(folder: str | Path, trust: bool = False) -> Store:
    """Open a run with its plugins loaded, to fit or draw with them.

    Raises
    ------
    InvalidInput
        It brings code that this user never named, and `trust` is not given; or its results were read from a table.
    """
    experiment = Store.open(folder).experiment
    experiment.require_drawn()
    require_trust(experiment.plugins, f"'{folder}'", trust)
    return Store.open(folder, code=True)


def require_trust(plugins: tuple[Plugin, ...], where: str, trust: bool) -> None:
    """Refuse plugins of a place (in words) that the user neither named nor trusts.

    Raises
    ------
    InvalidInput
        Names the files.
    """
    unknown = [plugin for plugin in plugins if not is_named(plugin)]
    if unknown and not trust:
        files = ", ".join(plugin.path for plugin in unknown)
        raise InvalidInput(
            f"{where} brings code of its own that you never named in a TOML file: {files}. Read it; if it may run on "
            "this computer, repeat the command with --trust (trust=True)"
        )
