"""Whose code a user named: the contents of plugin files that stood in a TOML of theirs, so that their own runs resume
without a question and a stranger's doesn't."""

from __future__ import annotations

import contextlib
from pathlib import Path

from nestbench.experiments.experiment import Plugin
from nestbench.sim.files import state_folder

_NAMED: set[str] = set()
"""Of this process: where nothing can be kept, a run still goes on in the process that began it."""


def remember(plugin: Plugin) -> None:
    """Note that the user named a plugin, by its content.

    By content, for a file of the same name in a folder that somebody sent is other code.
    """
    if is_named(plugin):
        return
    _NAMED.add(plugin.sha256)
    file = _file()
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        # Appended: two runs at once don't undo each other's line, as they would by writing the file anew.
        with open(file, "a", encoding="utf-8") as lines:
            lines.write(plugin.sha256 + "\n")


def is_named(plugin: Plugin) -> bool:
    """Whether the user named a plugin of this content, here or in an earlier process."""
    # Where no file can be written, this process remembers.
    if plugin.sha256 in _NAMED:
        return True
    try:
        return plugin.sha256 in _file().read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return False


def _file() -> Path:
    """Return where the hashes are kept."""
    return state_folder() / "named-plugins"
