"""R: lme4 with lmerTest's and pbkrtest's tests, and clubSandwich's variances of least squares, through ``Rscript``.

One R process serves a child, for loading the packages takes longer than most fits. Each fit is a line to it, the paths
of a table and of the answer, the way, formula, school and level; the answer is a file of ``quantity, name, value``.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from nestbench.league.package import Package, Way, mixed, same

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.league.asked import Answer, Asked

RUNNING: dict[str, Any] = {}
VERSIONS = """
for (name in c("lme4", "lmerTest", "pbkrtest", "clubSandwich"))
  if (nzchar(system.file(package = name))) cat(name, as.character(packageVersion(name)), "\\n")
"""
CODE = r"""
options(warn = 1, digits = 17, width = 200)
put <- function(quantity, name, value) {
  out <<- c(out, paste(quantity, name, sprintf("%.17g", as.numeric(value)), sep = "\t"))
}
tests <- function(table, names, df, p) {
  put("estimate", names, table[, 1]); put("std_error", names, table[, 2])
  put("df", names, table[, df]); put("p_value", names, table[, p])
}
mixed <- function(formula, data, group, ddf) {
  fit <- lmerTest::lmer(formula, data = data, REML = TRUE)
  table <- coef(summary(fit, ddf = ddf))
  tests(table, rownames(table), "df", "Pr(>|t|)")
  parts <- as.data.frame(lme4::VarCorr(fit))
  for (i in seq_len(nrow(parts))) {
    one <- parts$var1[i]
    kind <- if (parts$grp[i] == "Residual") "residual" else if (parts$grp[i] != group) "class"
      else if (!is.na(parts$var2[i])) "covariance" else if (one == "(Intercept)") "school" else "slope"
    put("variance", kind, parts$vcov[i])
  }
  put("loglik", "", logLik(fit))
  # What it warns of at the end of a fit; a singular fit has converged.
  said <- fit@optinfo$conv
  put("converged", "", all(said$opt == 0) && !any(grepl("failed to converge", unlist(said$lme4$messages))))
}
sandwich <- function(formula, data, group, kind, level) {
  # clubSandwich leaves out rows with a missing value of the model, none whose school is missing.
  data <- data[!is.na(data[[group]]), ]
  fit <- lm(formula, data = data)
  used <- as.integer(rownames(model.frame(fit)))
  schools <- droplevels(data[[group]][match(used, as.integer(rownames(data)))])
  test <- if (kind == "CR2") "Satterthwaite" else "naive-t"
  found <- clubSandwich::coef_test(fit, vcov = kind, cluster = schools, test = test)
  names <- names(coef(fit))[!is.na(coef(fit))]
  put("estimate", names, found$beta); put("std_error", names, found$SE)
  put("df", names, if (kind == "CR2") found$df_Satt else rep(nlevels(schools) - 1, length(names)))
  put("p_value", names, if (kind == "CR2") found$p_Satt else found$p_t)
  ends <- clubSandwich::conf_int(fit, vcov = kind, cluster = schools, test = test, level = level)
  put("lower", names, ends$CI_L); put("upper", names, ends$CI_U)
}
answer <- function(asked) {
  began <- sum(proc.time()[1:2])
  on.exit(put("seconds", "", sum(proc.time()[1:2]) - began))
  data <- read.csv(asked[1], check.names = FALSE, na.strings = "", encoding = "UTF-8", stringsAsFactors = FALSE)
  for (name in strsplit(asked[5], ",")[[1]]) data[[name]] <- factor(data[[name]])
  group <- strsplit(asked[5], ",")[[1]][1]
  formula <- as.formula(asked[4])
  if (asked[3] %in% c("Satterthwaite", "Kenward-Roger")) mixed(formula, data, group, asked[3])
  else sandwich(formula, data, group, asked[3], as.numeric(asked[6]))
}
lines <- file("stdin", encoding = "UTF-8"); open(lines)
while (length(line <- readLines(lines, 1))) {
  asked <- strsplit(line, "\t", fixed = TRUE)[[1]]
  out <- character()
  tryCatch(answer(asked), error = function(e) {
    out <<- paste("error", "", gsub("[\t\n]", " ", conditionMessage(e)), sep = "\t")
  })
  writeLines(out, asked[2], useBytes = TRUE)
  cat("done\n"); flush(stdout())
}
"""


def process() -> Any:
    """Return the R process of this child, begun when it is first asked for."""
    import atexit
    import os
    import shutil
    import subprocess
    import tempfile

    if "process" not in RUNNING:
        program = shutil.which("Rscript")
        if program is None:
            raise RuntimeError("no R: there is no Rscript on the path")
        folder = RUNNING["folder"] = tempfile.mkdtemp(prefix="league-r-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        code = os.path.join(folder, "serve.R")
        with open(code, "w", encoding="utf-8") as file:
            file.write(CODE)
        RUNNING["process"] = subprocess.Popen(
            [program, "--vanilla", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            encoding="utf-8",
        )
    return RUNNING["process"]


def asked_of_r(data: pd.DataFrame, way: str, formula: str, labels: list[str], level: float) -> dict[str, Any]:
    """Return what R answers, by quantity and name."""
    import os

    r = process()
    table, answer = (os.path.join(RUNNING["folder"], name) for name in ("data.csv", "answer.txt"))
    # R knows TRUE and FALSE, and no category of a table's own.
    plain = data.astype({name: object for name in data.columns if data[name].dtype.kind not in "fi"})
    plain.replace({True: "TRUE", False: "FALSE"}).to_csv(table, index=False)
    print(table, answer, way, formula, ",".join(labels), level, sep="\t", file=r.stdin, flush=True)
    for said in iter(r.stdout.readline, "done\n"):
        if not said:  # it is gone; the next fit begins another
            RUNNING.pop("process").communicate()
            raise RuntimeError(f"R ended with exit code {r.returncode}")
        print(said, end="")
    found: dict[str, Any] = {}
    with open(answer, encoding="utf-8") as file:
        for quantity, name, value in (line.rstrip("\n").split("\t") for line in file):
            if quantity == "error":
                raise RuntimeError(value)
            found.setdefault(quantity, {})[name] = float(value)
    # Of the R process, beside this one's.
    return {**found, "seconds": found.get("seconds", {}).get("", 0.0)}


def lmer(data: pd.DataFrame, asked: Asked, ddf: str) -> Answer:
    """Fit ``lmerTest::lmer`` and read its summary with the tests of a method."""
    labels = [name for name in (asked.group, asked.subgroup) if name]
    found = asked_of_r(data, ddf, asked.lme4, labels, asked.level)
    converged = found.get("converged", {"": 1.0})[""] == 1.0
    return {**found, "loglik": found["loglik"][""], "converged": converged}


def club(data: pd.DataFrame, asked: Asked, kind: str) -> Answer:
    """Fit ``lm`` and test by a variance of clubSandwich."""
    return asked_of_r(data, kind, asked.formula, [asked.group], asked.level)


@cache
def versions() -> str | None:
    """Return the versions of R's packages; None without R or any of them."""
    program = shutil.which("Rscript")
    if program is None:
        return None
    done = subprocess.run(
        [program, "--vanilla", "-e", VERSIONS], capture_output=True, text=True, check=False, timeout=60
    )
    return ", ".join(line.strip() for line in done.stdout.splitlines()) or None


TESTED = ("estimate", "std_error", "df", "p_value")

PACKAGE = Package(
    "R",
    "R's lme4, lmerTest, pbkrtest and clubSandwich",
    "subprocess",
    (
        Way(
            "lmerTest",
            partial(lmer, ddf="Satterthwaite"),
            mixed("reml-satt", "nested-satt"),
            "REML maximum; SE from sigma^2 (X'V^-1X)^-1; Satterthwaite df",
            (*TESTED, "variance", "loglik"),
        ),
        Way(
            "pbkrtest",
            partial(lmer, ddf="Kenward-Roger"),
            mixed("reml-kr"),
            "REML maximum; SE adjusted and df of Kenward and Roger (1997)",
            (*TESTED, "variance", "loglik"),
            most=2,
        ),
        Way(
            "clubSandwich CR2",
            partial(club, kind="CR2"),
            same("ols-cr2-satt"),
            "CR2, identity working model; Satterthwaite df",
        ),
        Way(
            "clubSandwich CR3",
            partial(club, kind="CR3"),
            same("ols-cr3-t"),
            "CR3 = (I - H)^-1 without a factor; t(G - 1)",
        ),
    ),
    install="R with these packages, and Rscript on the path",
    asks=versions,
)
