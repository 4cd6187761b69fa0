# Fit lmer to every data set of a CSV file; called by lmer.py.
# Input:  replication, school, y, x0 .. (fixed part, full rank), z0 .. (random part)
# Output: replication, name, estimate, std_error, message; names x0 .., sd0 .. (of the effects of z0 ..), corr0.1 .. (of
#         pairs), residual_sd, loglik, singular, or one row named "error".
suppressPackageStartupMessages(library(lme4))
paths <- commandArgs(trailingOnly = TRUE)
data <- read.csv(paths[1])
x <- grep("^x[0-9]+$", names(data), value = TRUE)
z <- grep("^z[0-9]+$", names(data), value = TRUE)

row_of <- function(name, estimate, std_error = NA, message = "") {
  data.frame(name = name, estimate = estimate, std_error = std_error, message = message)
}

fit_one <- function(part) {
  used <- x[colSums(is.na(part[x])) == 0]
  formula <- as.formula(paste("y ~ 0 +", paste(used, collapse = " + "), "+ (0 +", paste(z, collapse = " + "), "| school)"))
  said <- character()
  fit <- withCallingHandlers(
    lmer(formula, part, REML = TRUE),
    warning = function(w) { said <<- c(said, conditionMessage(w)); invokeRestart("muffleWarning") },
    message = function(m) { said <<- c(said, conditionMessage(m)); invokeRestart("muffleMessage") }
  )
  said <- paste(unique(trimws(said)), collapse = "; ")
  components <- VarCorr(fit)$school
  sds <- attr(components, "stddev")
  corr <- attr(components, "correlation")
  pairs <- which(upper.tri(corr), arr.ind = TRUE)
  rbind(
    row_of(used, fixef(fit)[used], sqrt(diag(as.matrix(vcov(fit))))[used], said),
    row_of(
      c(
        paste0("sd", seq_along(sds) - 1), if (nrow(pairs)) paste0("corr", pairs[, 1] - 1, ".", pairs[, 2] - 1),
        "residual_sd", "loglik", "singular"
      ),
      c(sds, corr[pairs], sigma(fit), logLik(fit), isSingular(fit)), NA, said
    )
  )
}

one <- function(part) {
  rows <- tryCatch(fit_one(part), error = function(e) row_of("error", NA, NA, conditionMessage(e)))
  cbind(replication = part$replication[1], rows)
}

write.csv(do.call(rbind, lapply(split(data, data$replication), one)), paths[2], row.names = FALSE)
