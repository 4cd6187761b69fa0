"""Reads a rendered figure as a reader would: where a mark stands, which panel that is, what its axes say there.

Nothing is taken from the specification or from how marks are nested: panels are boxes, a panel's name is the text above
the box, a value is where the axis below the box puts it, a method is the name on the mark's line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
import vl_convert

SVG = "{http://www.w3.org/2000/svg}"

_HELVETICA = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278 "
    "584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944 "
    "667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 "
    "278 556 500 722 500 500 500 334 260 334 584"
)
_HELVETICA_BOLD = (
    "278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 333 333 "
    "584 584 584 611 975 722 722 722 722 667 611 778 722 278 556 722 611 833 722 778 667 778 722 667 611 722 667 944 "
    "667 667 611 333 278 333 584 556 333 556 611 556 611 556 333 611 611 278 278 556 278 889 611 611 611 611 389 556 "
    "333 611 556 778 556 556 500 389 280 389 584"
)
WIDTHS = {
    bold: dict(zip(map(chr, range(32, 127)), map(int, widths.split()), strict=True))
    for bold, widths in ((False, _HELVETICA), (True, _HELVETICA_BOLD))
}
"""Widths of Helvetica's letters, not bold and bold, in thousandths of their size (Adobe's font metrics)."""


CRISP = 0.5
"""Vega draws axes half a pixel off, so that their lines are sharp."""

MIDDLE = 3
"""From the middle of a label beside an axis (11 px) to its base line: Vega rounds .25 of the size up."""


@dataclass(frozen=True)
class Text:
    """A text with its place: the corner where it begins, turned by `angle` degrees."""

    x: float
    y: float
    lines: tuple[str, ...]
    size: float
    anchor: str
    angle: float
    role: str
    bold: bool

    @property
    def words(self) -> str:
        return " ".join(self.lines)

    @property
    def width(self) -> float:
        widths = WIDTHS[self.bold]
        return max(self.size / 1000 * sum(widths.get(c, 600) for c in line) for line in self.lines)

    @property
    def middle(self) -> float:
        """Height of its middle."""
        _, top, _, bottom = self.box
        return (top + bottom) / 2

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the ink: from the capitals' height to the baseline of the last line."""
        left = self.x - {"start": 0.0, "middle": 0.5, "end": 1.0}[self.anchor] * self.width
        tall = 0.72 * self.size + 1.15 * self.size * (len(self.lines) - 1)
        box = (left, self.y - 0.72 * self.size, left + self.width, self.y - 0.72 * self.size + tall)
        if not self.angle:
            return box
        assert abs(self.angle) == 90, self.angle
        half = self.width / 2
        return self.x - 0.72 * self.size, self.y - half, self.x + 0.3 * self.size, self.y + half


@dataclass(frozen=True)
class Shape:
    """A mark: the box it covers, and its colour."""

    left: float
    top: float
    right: float
    bottom: float
    colour: str
    role: str

    @property
    def x(self) -> float:
        return (self.left + self.right) / 2

    @property
    def y(self) -> float:
        return (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Picture:
    """All texts, marks and panel boxes of a rendered figure, in its own pixels."""

    width: float
    height: float
    texts: list[Text]
    dots: list[Shape]
    lines: list[Shape]
    bars: list[Shape]
    paths: list[tuple[str, list[tuple[float, float]]]]
    panels: list[Shape]

    @property
    def titled(self) -> bool:
        """Whether any panel has a title."""
        return any(t.role == "role-title-text" for t in self.texts)

    def title(self, panel: Shape) -> str:
        """The text that begins nearest above a panel's left corner."""
        near = [t for t in self.texts if t.role == "role-title-text" and t.y <= panel.top + 1]
        near = [t for t in near if abs(t.x - (panel.left if t.anchor == "start" else panel.x)) <= 3]
        return max(near, key=lambda t: t.y).words if near else ""

    def header(self, panel: Shape) -> tuple[str, str]:
        """What stands centred above a panel: all lines but the last without spaces, and the last."""
        near = [t for t in self.texts if t.anchor == "middle" and t.y <= panel.top + 1]
        near = [t for t in near if abs(t.x - panel.x) <= 3 and t.role == "role-title-text"]
        *first, last = max(near, key=lambda t: t.y).lines
        return plain("".join(first)), last

    def panel_at(self, x: float, y: float) -> Shape:
        """The panel that a point lies in."""
        found = [p for p in self.panels if p.left - 1 <= x <= p.right + 1 and p.top - 1 <= y <= p.bottom + 1]
        assert len(found) == 1, (x, y, found)
        return found[0]

    def value(self, x: float, panel: Shape, log: bool = False) -> float:
        """What the nearest axis below a panel says about a place."""
        ticks = [
            t for t in self._axis_labels() if t.y > panel.bottom and _within(t.x, panel.left, panel.right)
        ]
        ticks = [t for t in ticks if t.y <= min(t.y for t in ticks) + 2]
        return _on_axis(x, [(t.x - CRISP, number(t.words)) for t in ticks], log)

    def height_value(self, y: float, panel: Shape, log: bool = False) -> float:
        """What the axis beside a panel says about a height."""
        ticks = [
            (t.y - MIDDLE - CRISP, number(t.words))
            for t in self._names(panel.top - 3, panel.bottom + 6, panel)
        ]
        return _on_axis(y, ticks, log)

    def method(self, y: float, panel: Shape) -> str:
        """The name on the line of a mark."""
        names = self._names(panel.top - 3, panel.bottom + 6, panel)
        nearest = min(names, key=lambda t: abs(t.middle - y))
        assert abs(nearest.middle - y) < 3 + 7 * (len(nearest.lines) > 2), (y, nearest)
        return nearest.words if len(nearest.lines) == 1 else plain(nearest.words)

    def _axis_labels(self) -> list[Text]:
        return [t for t in self.texts if t.role == "role-axis-label" and t.anchor == "middle"]

    def _names(self, top: float, bottom: float, panel: Shape) -> list[Text]:
        found = [t for t in self.texts if t.role == "role-axis-label" and t.anchor == "end"]
        return [t for t in found if t.x < panel.left and _within(t.y, top, bottom)]


def overprinted(texts: list[Text]) -> list[tuple[str, str]]:
    """Return the pairs of texts whose boxes overlap by more than a pixel."""
    found = []
    for one, other in combinations(texts, 2):
        (a, b, c, d), (e, f, g, h) = one.box, other.box
        if min(c, g) - max(a, e) > 1 and min(d, h) - max(b, f) > 1:
            found.append((one.words, other.words))
    return found


def read(spec: dict[str, Any]) -> Picture:
    """Render a Vega-Lite specification and read the picture."""
    return read_svg(vl_convert.vegalite_to_svg(spec))


def read_svg(text: str) -> Picture:
    """Read a picture that Vega drew."""
    root = ElementTree.fromstring(text)
    picture = Picture(float(root.get("width", 0)), float(root.get("height", 0)), [], [], [], [], [], [])
    for element, role, group, x, y, angle in _placed(root):
        if "role-legend" not in group or element.tag == f"{SVG}text":
            _take(picture, element, role, x, y, angle)
    unique = {(p.left, p.top, p.right, p.bottom): p for p in picture.panels}
    return replace(picture, panels=list(unique.values()))


def _placed(root: ElementTree.Element) -> Iterator[tuple[ElementTree.Element, str, str, float, float, float]]:
    stack = [(root, "", "", 0.0, 0.0, 0.0)]
    while stack:
        element, role, group, x, y, angle = stack.pop()
        for dx, dy in re.findall(r"translate\(([^,]+),([^)]+)\)", element.get("transform", ""))[:1]:
            x, y = x + float(dx), y + float(dy)
        for turn in re.findall(r"rotate\(([^)]+)\)", element.get("transform", "")):
            angle += float(turn)
        role = element.get("class") or role
        group += role if "role-legend" in role else ""
        yield element, role, group, x, y, angle
        stack += [(child, role, group, x, y, angle) for child in element]


def _take(
    picture: Picture, element: ElementTree.Element, role: str, x: float, y: float, angle: float
) -> None:
    colour = str(element.get("fill") or element.get("stroke"))
    if element.tag == f"{SVG}text":
        lines = tuple(s.text or "" for s in element) or (element.text or "",)
        size = float(str(element.get("font-size")).removesuffix("px"))
        bold = element.get("font-weight") in ("600", "bold")
        if any(lines) and element.get("opacity") != "0":
            kind = role.split()[-1] if "role-mark" not in role else "role-mark"
            picture.texts.append(Text(x, y, lines, size, str(element.get("text-anchor")), angle, kind, bold))
    elif element.tag == f"{SVG}line" and "role-mark" in role and element.get("opacity") != "0":
        ends = sorted([x, x + float(element.get("x2", 0))]), sorted([y, y + float(element.get("y2", 0))])
        colour = str(element.get("stroke"))
        dashed = "dashed" if element.get("stroke-dasharray") else "solid"
        picture.lines.append(Shape(ends[0][0], ends[1][0], ends[0][1], ends[1][1], colour, dashed))
    elif element.tag == f"{SVG}path" and element.get("d"):
        _take_path(picture, str(element.get("d")), element, role, x, y, colour)


def _take_path(
    picture: Picture, d: str, element: ElementTree.Element, role: str, x: float, y: float, colour: str
) -> None:
    if "mark-symbol role-mark" in role:
        picture.dots.append(Shape(x, y, x, y, colour, role))
    elif "mark-rect role-mark" in role:
        found = re.fullmatch(r"M([^,]+),([^h]+)h([^v]+)v([^h]+)h[^Z]+Z", d)
        assert found, d
        left, top, wide, high = (float(part) for part in found.groups())
        picture.bars.append(Shape(x + left, y + top, x + left + wide, y + top + high, colour, role))
    elif "mark-line role-mark" in role:
        for part in d.split("M")[1:]:
            corners = [tuple(map(float, corner.split(","))) for corner in part.removesuffix("Z").split("L")]
            picture.paths.append((str(element.get("stroke")), [(x + a, y + b) for a, b in corners]))
    elif role == "background" and (size := re.fullmatch(r"M0,0h([\d.]+)v([\d.]+)h-[\d.]+Z", d)):
        wide, high = (float(part) for part in size.groups())
        if wide and high:
            picture.panels.append(Shape(x, y, x + wide, y + high, colour, role))


def _within(value: float, low: float, high: float) -> bool:
    return low - 1 <= value <= high + 1


def number(label: str) -> float:
    """A tick's label as a number: ``92.5%``, ``−0.1``, ``1,000``."""
    plain = label.replace("−", "-").replace(",", "")
    return float(plain[:-1]) / 100 if plain.endswith("%") else float(plain)


def _on_axis(at: float, ticks: list[tuple[float, float]], log: bool = False) -> float:
    if log:
        return float(10 ** _on_axis(at, [(place, np.log10(value)) for place, value in ticks]))
    assert len(ticks) >= 2, ticks
    places, values = np.array(ticks).T
    slope, start = np.polyfit(places, values, 1)
    assert np.allclose(places * slope + start, values, atol=0.02 * np.ptp(values)), (
        ticks
    )  # it is a linear axis
    return float(slope * at + start)


def plain(title: str) -> str:
    """A title without spaces, for it may be broken into lines anywhere."""
    return re.sub(r"\s", "", title)
