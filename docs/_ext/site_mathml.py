"""Formulas as MathML, made when the site is built: browsers show it themselves, so no page loads a script or a font."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

ACCENTS = frozenset("ˆ^~˜ˉ¯˙¨")
BEYOND_XML = re.compile(r"&(?!(?:lt|gt|amp|quot|apos);)\w+;")
MATHML = "{http://www.w3.org/1998/Math/MathML}"


def mathml(tex: str, block: bool) -> str:
    """Return LaTeX as a MathML element."""
    text = BEYOND_XML.sub(lambda entity: unescape(entity[0]), tex2mathml(tex, as_block=block))
    root = ElementTree.fromstring(text)
    for element in root.iter(f"{MATHML}munderover"):
        if (element[2].text or "") in ACCENTS:
            _beside(element)
    for row in root.iter():
        _spaced(row)
    ElementTree.register_namespace("", MATHML.strip("{}"))
    return ElementTree.tostring(root, encoding="unicode")


def _beside(element: ElementTree.Element) -> None:
    r"""Set the index of an accented letter beside it: docutils puts that of ``\hat\beta_j`` under it."""
    letter, index, accent = element
    accented = ElementTree.Element(f"{MATHML}mover", {"accent": "true"})
    accented.extend([letter, accent])
    element.tag = f"{MATHML}msub"
    element[:] = [accented, index]


def _spaced(row: ElementTree.Element) -> None:
    """Set a space between a function's name and its argument, unless a bracket stands there."""
    for at in range(len(row) - 1):
        if row[at].text == "\u2061" and (row[at + 1].text or "") not in {"(", "[", "{"}:
            row[at].tag, row[at].text = f"{MATHML}mspace", None
            row[at].set("width", "0.17em")


def inline(self: Any, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    self.body.append(mathml(node.astext(), block=False))
    raise nodes.SkipNode


def display(self: Any, node: nodes.math_block) -> None:
    """Write a formula of its own; a wide one scrolls instead of the page."""
    label = f' id="{node["ids"][0]}"' if node["ids"] else ""
    self.body.append(f'<div class="formula" tabindex="0"{label}>{mathml(node.astext(), block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
