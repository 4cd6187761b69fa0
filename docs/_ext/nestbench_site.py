"""What the site needs beside Sphinx: pages made from declarations, reports made by running them."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from site_pages import DOCS, PAGES, ROOT, SITE_PAGES, at_home, root_file
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.logging import getLogger

RUNS, REPORTS, LEAGUE = "_runs", "reports", "league"
"""Folders of the runs, beside the built pages, of their reports, among them, and of the league's page."""


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
    """``{report} NAME``, a command below: it is shown, run when the site is built, and its report is opened by a link.

    ``:plot:`` are options of ``nestbench plot`` for a picture beside the link; its command is shown, too.
    """

    required_arguments = 1
    has_content = True
    option_spec = {"plot": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """Return the commands, the picture and the link."""
        name, command = self.arguments[0], " ".join(self.content)
        out = Path(self.env.app.outdir)
        run = out.parent / RUNS / name
        (out / REPORTS).mkdir(parents=True, exist_ok=True)
        plot = f"nestbench plot runs/{name} {self.options['plot']} -o {name}.svg"
        if done(f"{command} -q", {"-o": str(run)}):
            done(plot, {f"runs/{name}": str(run), f"{name}.svg": str(out / REPORTS / f"{name}.svg")})
            shutil.copyfile(run / "report.html", out / REPORTS / f"{name}.html")
        self.env.note_reread()
        parts = [
            f"```console\n$ {command}\n$ {plot}\n```",
            f'<a href="{REPORTS}/{name}.html"><img alt="Coverage in the run {name}" src="{REPORTS}/{name}.svg"></a>',
            f'<a class="report" href="{REPORTS}/{name}.html">Open the report</a>',
        ]
        return self.parse_text_to_nodes("\n\n".join(parts))


class League(SphinxDirective):
    """``{league} FILE``: a link to the page of the league's results in a file beside the guides, and its scripts."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the link; the page is made of the file, no package is fitted."""
        out, source = Path(self.env.app.outdir) / LEAGUE, DOCS / self.arguments[0]
        self.env.note_dependency(str(source))
        shutil.rmtree(out, ignore_errors=True)
        done("nestbench league --no-run", {"--merge": str(source), "-o": str(out)})
        return self.parse_text_to_nodes(f'<a class="report" href="{LEAGUE}/league.html">Open the page</a>')


def done(command: str, places: Mapping[str, str]) -> bool:
    """Run a command of nestbench with its files in other places; a run that is finished there isn't run again.

    A place whose words the command doesn't have is added to it. What fails is a warning, and so an error of the build.
    """
    program, *words = shlex.split(command)
    if program != "nestbench":
        raise ValueError(f"expected a command of nestbench, got '{command}'")
    added = [word for pair in places.items() if pair[0].startswith("-") for word in pair]
    arguments = [*(places.get(word, word) for word in words), *added]
    ended = subprocess.run(
        [sys.executable, "-m", "nestbench", *arguments], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        getLogger(__name__).warning("'%s' failed: %s", command, ended.stderr.strip())
    return ended.returncode == 0


def links(app: Sphinx, name: str, source: list[str]) -> None:
    """Let links of the guides to files at the root lead to the site's pages."""
    source[0] = at_home(source[0], (DOCS / name).parent)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("generated", Generated)
    app.add_directive("report", Report)
    app.add_directive("league", League)
    app.connect("source-read", links)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
