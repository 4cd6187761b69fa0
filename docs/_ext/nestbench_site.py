"""What the site needs beside Sphinx: pages made from declarations, reports made by running them."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from site_pages import DOCS, PAGES, ROOT, SITE_PAGES, at_home, root_file
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.logging import getLogger

RUNS, REPORTS = "_runs", "reports"
"""Folders of the runs, beside the built pages, and of their reports, among them."""


class Generated(SphinxDirective):
    """``{generated} methods``: what is declared; ``{generated} ARCHITECTURE.md``: a file at the repository's root."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the page's content as if it had been written there."""
        asked = self.arguments[0]
        if asked in SITE_PAGES:
            self.env.note_dependency(str(ROOT / asked))
            text = root_file(asked)
        else:
            self.env.note_reread()
            text = PAGES[asked]()
        return self.parse_text_to_nodes(text, allow_section_headings=True)


class Report(SphinxDirective):
    """``{report} NAME``, a command below: it is shown, run when the site is built, and its page is opened by a link."""

    required_arguments = 1
    has_content = True
    option_spec = {"title": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """Return the command and the link."""
        name, command = self.arguments[0], " ".join(self.content)
        target = Path(self.env.app.outdir) / REPORTS / f"{name}.html"
        made(command, Path(self.env.app.outdir).parent / RUNS / name, target)
        self.env.note_reread()
        link = f'<a class="report" href="{REPORTS}/{name}.html">{self.options["title"]}</a>'
        text = f"```console\n$ {command}\n```\n\n{link}"
        return self.parse_text_to_nodes(text)


def made(command: str, run: Path, target: Path) -> None:
    """Run a command into `run` (one that is finished there isn't run again) and copy its report to `target`."""
    program, *arguments = shlex.split(command)
    if program != "nestbench":
        raise ValueError(f"expected a command of nestbench, got '{command}'")
    target.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "nestbench", *arguments, "-q", "-o", str(run)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        getLogger(__name__).warning("%s failed: %s", command, done.stderr.strip())
        return
    shutil.copyfile(run / "report.html", target)


def links(app: Sphinx, name: str, source: list[str]) -> None:
    """Let links of the guides to files at the root lead to the site's pages."""
    source[0] = at_home(source[0], (DOCS / name).parent)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("generated", Generated)
    app.add_directive("report", Report)
    app.connect("source-read", links)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
