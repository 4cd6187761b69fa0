"""The commonest trials in a planner's words, and the population, layout and model that they mean.

The outcome has SD `sd` before covariates. Of its variance schools have the share ICC, classes their own, students the
rest; a covariate of a level explains the share R^2 of that level's variance. With r_s, r_c, r_t the three R^2: ::

    school variance   ICC (1 - r_s)                 + r_s ICC of a covariate of schools        (``resources``)
    class variance    ICC_c (1 - r_c)               + r_c ICC_c of a covariate of classes      (``teacher``)
    student variance  (1 - ICC - ICC_c) (1 - r_t)   + r_t (1 - ICC - ICC_c) of one of students (``age``)

Effects are in units of the outcome; with sd = 1 they are standardised effects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from nestbench.sim.errors import InvalidInput, unknown_name

SCHOOLS, PAIRS, BLOCKS, STUDENTS, CLASSES = "schools", "pairs", "blocks", "students", "classes"
KINDS = {
    SCHOOLS: "schools are randomised",
    PAIRS: "one school of each pair is randomised, pairs matched on a covariate of schools",
    BLOCKS: "schools are randomised within blocks of schools that are alike in a covariate",
    STUDENTS: "students are randomised in every school (multisite)",
    CLASSES: "schools are randomised, students are in classes in schools",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial in schools.

    Attributes
    ----------
    kind : str
        Who is randomised: one of `KINDS`.
    schools, students : int
        Schools, and students a school (the mean, where sizes differ).
    treated_share : float
        Of the schools, or with kind "students" of each school's students.
    treated_schools : int or None
        A number instead.
    icc, class_icc : float
        Shares of the outcome's variance.
    classes : int
        A school.
    block_size : int
        Schools a block (kind "blocks").
    r2_school, r2_class, r2_student : float
        Shares of a level's variance that its covariate explains.
    effect : float
    effect_sd : float
        SD of the effect over schools (kind "students").
    size_cv : float
        Coefficient of variation of the schools' sizes.
    lost_schools, lost_students : float
        Shares that drop out.
    sd : float
        Of the outcome.

    Raises
    ------
    InvalidInput
        A value outside its range, or values that contradict each other.
    """

    kind: str = SCHOOLS
    schools: int = 20
    students: int = 20
    treated_share: float = 0.5
    treated_schools: int | None = None
    icc: float = 0.1
    class_icc: float = 0.0
    classes: int = 0
    block_size: int = 0
    r2_school: float = 0.0
    r2_class: float = 0.0
    r2_student: float = 0.0
    effect: float = 0.0
    effect_sd: float = 0.0
    size_cv: float = 0.0
    lost_schools: float = 0.0
    lost_students: float = 0.0
    sd: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind of trial", self.kind, KINDS)
        for name in SHARES:
            _share(name, getattr(self, name))
        for name in ("schools", "students"):
            _whole(name, getattr(self, name))
        if self.icc + self.class_icc >= 1.0:
            raise InvalidInput(
                f"expected icc and class_icc to leave something to the students, got {self.icc:g} + "
                f"{self.class_icc:g}; their sum must be below 1"
            )
        for check in (_check_levels, _check_kind, _check_treated):
            check(self)

    def at(self, **changes: Any) -> Trial:
        """Return the trial with some values changed."""
        return replace(self, **changes)

    def tables(self) -> dict[str, dict[str, Any]]:
        """Return population, layout and model as the tables of a TOML file."""
        return {"population": self._population(), "layout": self._layout(), "model": self._model()}

    @property
    def term(self) -> str:
        """The term asked about."""
        return "treated"

    def _population(self) -> dict[str, Any]:
        school = self.icc * (1.0 - self.r2_school)
        classes = self.class_icc * (1.0 - self.r2_class)
        rest = 1.0 - self.icc - self.class_icc
        total = school + classes + rest * (1.0 - self.r2_student)
        effects = {"Intercept": 0.0, "treated": self.effect}
        explained = {
            "resources": self.r2_school * self.icc,
            "teacher": self.r2_class * self.class_icc,
            "age": self.r2_student * rest,
        }
        effects |= {name: self.sd * math.sqrt(share) for name, share in explained.items() if share}
        table = {
            "law": "random-intercept",
            "version": 2,
            "icc": school / total,
            "total_sd": self.sd * math.sqrt(total),
            "age_mean": 0.0,
            "effects": effects,
        }
        optional = {
            "class_icc": classes / total,
            "treatment_sd": self.effect_sd,
            "missing": self.lost_students,
            "missing_schools": round(self.lost_schools * self.schools),
        }
        return table | {key: value for key, value in optional.items() if value}

    def _layout(self) -> dict[str, Any]:
        table: dict[str, Any] = {"schools": self.schools, "students": self.students}
        if self.treated_schools is None:
            table["treated_share"] = self.treated_share
            if self.kind == BLOCKS:  # .33 of 3 is one school
                table["treated_share"] = round(self.treated_share * self.block_size) / self.block_size
        else:
            table["treated_schools"] = self.treated_schools
        assignment = {PAIRS: "pairs", BLOCKS: "blocks", STUDENTS: "students"}.get(self.kind)
        if assignment is None and (self.lost_schools or self.lost_students):
            assignment = "random"  # who drops out is drawn; so is who is treated
        table |= {"assignment": assignment} if assignment else {}
        table |= {"size_cv": self.size_cv} if self.size_cv else {}
        table |= {"block_size": self.block_size} if self.kind == BLOCKS else {}
        return table | ({"classes": self.classes} if self.classes else {})

    def _model(self) -> dict[str, Any]:
        terms = ["treated"]
        # What blocks are alike in is the covariate; their dummies stand for it.
        stands = {PAIRS: ["pair"], BLOCKS: ["block"]}
        terms += stands.get(self.kind, ["resources"] * bool(self.r2_school))
        terms += ["teacher"] * bool(self.r2_class) + ["age"] * bool(self.r2_student)
        model = {"formula": "grade ~ " + " + ".join(terms)}
        if self.kind == CLASSES:
            model["subgroup"] = "class"
        if self.effect_sd:
            model["random"] = "1 + treated"
        return model


ROUNDED = 0.03
"""How far a share written with two decimals may be from a whole number of schools a block."""
FIXED = {
    PAIRS: "half of the schools in pairs are treated",
    BLOCKS: "the same number is treated in every block",
    STUDENTS: "students are treated",
}
"""Why a number of treated schools can't be given, by kind of trial."""
SHARES = (
    "icc",
    "class_icc",
    "r2_school",
    "r2_class",
    "r2_student",
    "lost_schools",
    "lost_students",
)
NAMES = tuple(field.name for field in fields(Trial))


def _share(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < 1.0:
        alike = "; with an ICC of 1 all students of a school are alike and one a school says all: use .999"
        extra = alike if name == "icc" and value == 1.0 else ""
        raise InvalidInput(f"expected {name} in [0, 1), got {value!r}{in_shares(value) or extra}")


def in_shares(value: Any) -> str:
    """Return how a percentage is written as a share; nothing for what can't be one."""
    percentage = isinstance(value, (int, float)) and 1.0 < value <= 100.0
    return f"; write {value:g} % as {value / 100.0:g}" if percentage else ""


def _whole(name: str, value: Any) -> None:
    if isinstance(value, float) and not value.is_integer():
        raise InvalidInput(f"expected a whole number of {name}, got {value!r}; use {math.ceil(value)}")
    # To Python, True is a number.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 1:
        raise InvalidInput(f"expected {name} >= 1, got {value!r}")


def _check_levels(trial: Trial) -> None:
    """A covariate explains part of a variance that is there."""
    for r2, icc in (("r2_school", "icc"), ("r2_class", "class_icc")):
        if getattr(trial, r2) and not getattr(trial, icc):
            raise InvalidInput(
                f"expected {icc} above 0 with {r2} = {getattr(trial, r2):g}, got 0: there is no variance to explain; "
                f"leave {r2} out"
            )
    three = trial.kind == CLASSES
    if not three and (trial.class_icc or trial.classes):
        raise InvalidInput(f'expected trial = "classes" with class_icc or classes, got "{trial.kind}"')
    if three and trial.classes < 1:
        raise InvalidInput(f"expected the number of classes a school, got {trial.classes}; e.g. classes = 2")
    if three and trial.students < trial.classes:
        raise InvalidInput(
            f"expected at least a student a class, got {trial.students} students a school in {trial.classes} classes"
        )


def _check_kind(trial: Trial) -> None:
    """What goes with who is randomised."""
    if not 0.0 <= trial.effect_sd < math.inf:
        raise InvalidInput(f"expected effect_sd to be 0 or more, got {trial.effect_sd!r}")
    if trial.effect_sd and trial.kind != STUDENTS:
        raise InvalidInput(
            f'expected effect_sd (of an effect that differs by school) with trial = "students", got '
            f'{trial.effect_sd:g} with "{trial.kind}"; set it to 0'
        )
    if trial.kind == PAIRS and trial.schools % 2:
        raise InvalidInput(f"expected an even number of schools in pairs, got {trial.schools}")
    if trial.kind in (PAIRS, BLOCKS) and trial.lost_schools:
        raise InvalidInput(
            f"expected lost_schools = 0 in {trial.kind}: what is left of a block may lack an arm; count its schools out"
        )
    _check_blocks(trial)
    if not trial.sd > 0.0:
        raise InvalidInput(f"expected sd > 0, got {trial.sd!r}")


def _check_blocks(trial: Trial) -> None:
    """Blocks are full, and each has both arms."""
    size = trial.block_size
    if trial.kind != BLOCKS:
        if size:
            raise InvalidInput(f'expected trial = "blocks" with block_size = {size}, got "{trial.kind}"')
        return
    if not size:
        raise InvalidInput(
            'expected the number of schools a block with trial = "blocks", got none; e.g. block_size = 4'
        )
    _whole("block_size", size)
    treated = trial.treated_share * size
    if size < 2 or trial.schools % size:
        full = max(trial.schools // size, 1) * size if size > 1 else 0
        todo = f"take {full} or {full + size} schools" if size > 1 else "e.g. block_size = 4"
        raise InvalidInput(
            f"expected full blocks of 2 schools or more, got {trial.schools} schools in blocks of {size}; {todo}"
        )
    if abs(treated - round(treated)) > ROUNDED or not 0 < round(treated) < size:
        raise InvalidInput(
            f"expected a whole number of treated schools in each block, got a treated_share of {trial.treated_share:g} "
            f"of {size}; take a multiple of 1 / {size} below 1, or another block_size"
        )


def _check_treated(trial: Trial) -> None:
    """Somebody is treated, somebody isn't."""
    if not 0.0 < trial.treated_share < 1.0:
        raise InvalidInput(
            f"expected treated_share in (0, 1), got {trial.treated_share!r}: there must be both arms"
            f"{in_shares(trial.treated_share)}"
        )
    fixed = trial.treated_schools
    if fixed is not None and trial.kind in FIXED:
        raise InvalidInput(
            f'expected treated_share with trial = "{trial.kind}", got treated_schools = {fixed}: {FIXED[trial.kind]}'
        )
    if fixed is not None:
        _whole("treated_schools", fixed)
        if fixed >= trial.schools:
            raise InvalidInput(
                f"expected treated_schools below schools = {trial.schools}, got {fixed}: nobody would be left "
                "to compare"
            )
    if trial.kind == PAIRS and trial.treated_share != 0.5:
        raise InvalidInput(
            f"expected treated_share = 0.5 in pairs, got {trial.treated_share:g}; leave it out"
        )
