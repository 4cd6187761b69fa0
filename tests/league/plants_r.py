"""Defects for copies of R's packages: R code at the end of the file that loads a copy's functions, run among them."""

from __future__ import annotations

from tests.league.plants import FEW, Plant

CODE = """
local({
    defect <- "_DEFECT_"; fits <- 0
    ns <- .getNamespace(as.name(loadingNamespaceInfo()$pkgname))
    plant <- function(name, wrapped) {
        sound <- get(name, ns)
        assign(name, function(...) wrapped(sound(...)), envir = ns)
    }
    of_error <- function() switch(defect, se = 1.05, "se 20 %" = 0.8, zero = if (fits %% 5 == 0) 0 else 1, 1)
    begun <- function() {
        fits <<- fits + 1
        if (defect == "failures" && fits %% 100 == 57) stop("did not work")
    }
    _PLANTED_
})
"""
MATRIX = """plant("get_coefmat", function(found) {
        begun()
        found[, "Std. Error"] <- of_error() * found[, "Std. Error"]
        if (defect == "sign") found[, "Estimate"] <- -found[, "Estimate"]
        if (defect == "df") found[, "df"] <- found[, "df"] - 1
        found
    })"""
ADJUSTED = """plant("vcovAdj", function(found) {
        # Once a coefficient, of which there are three.
        fits <<- fits + 1 / 3
        if (defect == "zero" && floor(fits + 0.7) %% 5 == 0) 0 * found
        else switch(defect, se = 1.05^2, "se 20 %" = 0.8^2, 1) * found
    })
    plant("Lb_ddf", function(found) if (defect == "df") found - 1 else found)"""
TESTED = """plant("coef_test", function(found) {
        begun()
        found$SE <- of_error() * found$SE
        if (defect == "sign") found$beta <- -found$beta
        if (defect == "df") found$df_Satt <- found$df_Satt - 1
        found
    })"""


def _plant(way: str, package: str, planted: str, **without: str) -> Plant:
    code = CODE.replace("_PLANTED_", planted)
    return Plant(f"R {way}", package, f"R/{package}", code=code, library="R_LIBS", without=without)


PLANTS_R = (
    _plant("lmerTest", "lmerTest", MATRIX),
    _plant("pbkrtest", "pbkrtest", ADJUSTED, sign="pbkrtest makes no estimates", failures=FEW),
    _plant("clubSandwich CR2", "clubSandwich", TESTED),
)
