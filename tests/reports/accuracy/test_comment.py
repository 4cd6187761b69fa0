"""What a check says on a pull request, and as a badge."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nestbench.reports.accuracy.badge import COLOURS, badge, colour_of, to_svg
from nestbench.reports.accuracy.changes import FAILING, Change, Mark
from nestbench.reports.accuracy.check import Check
from nestbench.reports.accuracy.comment import ROWS, in_short, marker, to_comment
from nestbench.sim.errors import InvalidInput

WORSE = Change(
    Mark.WORSE, 1, {"icc": 0.2}, "fits", "age", "model_se", (0.05, 0.001, 200), (0.0525, 0.001, 200)
)
LOST = Change(
    Mark.NEW_FAILURE,
    0,
    {},
    "fits",
    "(fit)",
    "usable_share",
    (1.0, 0.0, 200),
    (0.99, 0.007, 200),
    detail="2 of 200 fits, now FAILED",
    replications=(3, 17),
)
BETTER = Change(
    Mark.BETTER, None, {}, "fits", "age", "coverage", p_value=1e-5, detail="mean difference +0.02"
)
AS_BEFORE = Check("gate", (), 4, 4, 4, 0, 0, 0, 0, 1e-4, ())


def outcome(*changes: Change) -> Check:
    return replace(AS_BEFORE, changes=changes, identical=2)


def test_a_comment_has_the_two_numbers_with_their_errors_and_the_lines_to_see_them() -> None:
    text = to_comment(outcome(WORSE, LOST, BETTER), "runs/checks/gate", "nestbench check study.toml")
    lines = text.splitlines()
    assert lines[0] == marker("gate") == "<!-- nestbench check: gate -->"
    assert lines[1] == "### Accuracy of `gate`: failed: 1 worse, 1 new failure, 1 better"
    assert (
        "| **worse** | condition 1: icc=0.2 | fits | age | model_se | 0.05 (MCSE 0.001, n 200) | "
        "0.0525 (MCSE 0.001, n 200) |  |"
    ) in lines
    (lost,) = [line for line in lines if "new failure** |" in line]
    assert lost.endswith("| 2 of 200 fits, now FAILED; replications 3, 17 |")
    assert (
        "| better | all conditions | fits | age | coverage |  |  | mean difference +0.02; adjusted p = 1e-05 |"
        in lines
    )
    block = text.split("```sh\n")[1].split("```")[0].splitlines()
    assert block[0] == "nestbench check study.toml"
    assert block[1] == "nestbench replay runs/checks/gate --condition 0 --replication 3 --method fits"


def test_what_is_as_before_is_said_in_a_line() -> None:
    text = to_comment(AS_BEFORE, "runs/checks/gate", "nestbench check")
    assert "### Accuracy of `gate`: as before" in text
    assert "```" not in text
    assert "4 pairs of condition and method compared: 4 with identical numbers" in text


def test_only_what_fails_stands_out() -> None:
    text = to_comment(outcome(WORSE, BETTER), failing=(Mark.BETTER,))
    assert "| worse |" in text
    assert "| **better** |" in text


def test_a_comment_stays_below_githubs_limit() -> None:
    """Whatever is in it: 65 536 characters."""
    long = replace(WORSE, detail="x" * 70_000, estimator="y" * 300, factors={"z" * 300: "z" * 300})
    text = to_comment(outcome(*[long] * 500), "runs/checks/gate", "nestbench check")
    assert len(text) < 65_536
    assert text.count("**worse**") == ROWS
    assert f"\n{500 - ROWS} changes more.\n" in text


def test_names_stay_text() -> None:
    """Neither a table's bar, HTML nor the end of the hidden line comes from a name."""
    strange = replace(WORSE, estimator="a|b<img>", detail="--> <script>")
    text = to_comment(replace(outcome(strange), baseline="x --> <b>"), "runs/x", "nestbench check")
    assert "a\\|b&lt;img>" in text
    assert "<script>" not in text
    assert text.splitlines()[0].count("-->") == 1
    assert marker("a") != marker("b")


@pytest.mark.parametrize(
    ("check", "failing", "message", "colour"),
    [
        (AS_BEFORE, FAILING, "as before", "brightgreen"),
        (outcome(BETTER), FAILING, "passed: 1 better", "brightgreen"),
        (outcome(replace(WORSE, mark=Mark.MOVED)), FAILING, "passed: 1 moved", "blue"),
        (outcome(WORSE, WORSE, LOST), FAILING, "failed: 2 worse, 1 new failure", "red"),
        (outcome(BETTER), (Mark.BETTER,), "failed: 1 better", "red"),
    ],
)
def test_badges_say_the_outcome(check: Check, failing: tuple[Mark, ...], message: str, colour: str) -> None:
    assert in_short(check, failing) == message
    assert colour_of(check, failing) == colour
    endpoint = json.loads(badge(check, Path("b.json"), failing))
    assert endpoint == {"schemaVersion": 1, "label": "accuracy", "message": message, "color": colour}
    svg = ElementTree.fromstring(badge(check, Path("b.svg"), failing))
    assert svg.attrib["aria-label"] == f"accuracy: {message}"
    texts = [one.text for one in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["accuracy", message]
    assert COLOURS[colour] in {one.attrib.get("fill") for one in svg.iter()}


def test_a_badge_of_any_words_is_xml() -> None:
    ElementTree.fromstring(to_svg('a <b> & "c"', "red"))


def test_white_text_is_seen_on_every_colour() -> None:
    """Contrast of WCAG 2.2: 4.5 or more."""
    for colour in (*COLOURS.values(), "#444444"):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert 1.05 / (luminance + 0.05) >= 4.5


def test_a_badges_file_must_say_its_form() -> None:
    with pytest.raises(InvalidInput, match=r"end in \.svg or \.json"):
        badge(AS_BEFORE, Path("badge.png"))
