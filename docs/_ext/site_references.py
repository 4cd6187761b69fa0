"""The bibliography that reports cite from, as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

LETTERS: Mapping[str, str] = {"'a": "á", "'e": "é", '"a': "ä", "O": "Ø", "o": "ø"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A reference: its key (``liang1986``), its text, and a link in Markdown where it has a DOI."""

    key: str
    text: str
    link: str


def cited(source: str) -> list[str]:
    """Return the keys of the references that a part of a method's source names."""
    from nestbench.reports.exports.citations import citation_keys, references

    known = references()
    return [key for key in citation_keys(source) if key in known]


def entries() -> list[Entry]:
    """Return every reference in order of its key."""
    from nestbench.reports.exports.citations import references

    return [_entry(key, text) for key, text in sorted(references().items())]


def _entry(key: str, bibtex: str) -> Entry:
    fields = {
        name: words(value) for name, value in re.findall(r"(\w+) =\s+\{((?:[^{}]|\{[^{}]*\})*)\}", bibtex)
    }
    where = fields.get("journal") or fields.get("booktitle") or fields.get("publisher", "")
    volume = fields.get("volume", "") + (f"({fields['number']})" if "number" in fields else "")
    parts = [where, *([volume] if volume else []), *([fields["pages"]] if "pages" in fields else [])]
    authors = "; ".join(fields["author"].split(" and "))
    doi = fields.get("doi")
    return Entry(
        key,
        f"{authors} ({fields['year']}). {fields['title']}. {', '.join(parts)}.",
        f" [doi:{doi}](https://doi.org/{doi})" if doi else "",
    )


def words(tex: str) -> str:
    """Return BibTeX's text without its braces and commands."""
    for command, letter in LETTERS.items():
        tex = re.sub(r"\{\\" + re.escape(command) + r"\}", letter, tex)
    return " ".join(re.sub(r"[{}\\]", "", tex).replace("--", "–").split())
