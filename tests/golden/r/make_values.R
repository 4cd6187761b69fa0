# R's values of the data of make_data.R: Rscript make_values.R [case ...]; they go to out/CASE.json, and the parts in use
# from there to values.json. R 4.2.2, lme4 1.1-31, lmerTest 3.1-3, pbkrtest 0.5.2, clubSandwich 0.5.8.
dir.create("out", FALSE)
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(clubSandwich); library(nlme); library(sandwich); library(gee); library(jsonlite); library(minqa); library(numDeriv)})
args <- commandArgs(TRUE)
cases <- fromJSON("cases.json", simplifyVector=FALSE)
want <- if (length(args)) args else names(cases)
# bobyqa from several starts, then Newton steps on a numerical gradient where no bound is active
polish <- function(fn, par, lower, control, ...) {
  starts <- list(par, par * 0.3, pmax(par*2, lower))
  best <- NULL
  for (s in starts) {
    o <- tryCatch(bobyqa(s, fn, lower = lower, control = list(rhobeg=0.2, rhoend = 1e-9, maxfun = 20000)), error=function(e) NULL)
    if (!is.null(o) && (is.null(best) || o$fval < best$fval)) best <- o
    if (!is.null(best)) for (k in which(lower == 0)) { p <- best$par; p[k] <- 0; f <- fn(p); if (f <= best$fval + 1e-12) { best$par <- p; best$fval <- f } }
  }
  p <- best$par; free <- !(lower == 0 & p < 1e-7)
  if (any(free)) for (it in 1:3) {
    f <- function(q) { z <- p; z[free] <- q; fn(z) }
    g <- grad(f, p[free]); h <- hessian(f, p[free])
    step <- tryCatch(solve(h, g), error=function(e) NULL); if (is.null(step)) break
    q <- p; q[free] <- p[free] - step; if (any(q < lower)) break
    if (fn(q) <= fn(p) + 1e-9) p <- q else break
  }
  list(par = p, fval = fn(p), feval = 1, convergence = 0, conv=0, message = "polished")
}
ctl <- lmerControl(optimizer = "polish", check.conv.grad="ignore", check.conv.hess="ignore", check.conv.singular="ignore", check.scaleX="ignore", check.nobs.vs.nlev="ignore", check.nobs.vs.nRE="ignore", calc.derivs=FALSE, restart_edge=FALSE, boundary.tol=0)
tryq <- function(e) tryCatch(suppressWarnings(suppressMessages(e)), error = function(err) list(error = conditionMessage(err)))
ct <- function(fit, V, test) { r <- coef_test(fit, V, test = test); as.data.frame(r) }
mixed <- function(f, d, REML, N, kr = TRUE, cr2 = TRUE) {
  out <- list()
  m <- suppressWarnings(suppressMessages(lmerTest::lmer(f, d, REML = REML, control = ctl)))
  out$terms <- names(fixef(m)); out$fixef <- unname(fixef(m)); out$se <- unname(sqrt(diag(as.matrix(vcov(m)))))
  out$theta <- unname(getME(m, "theta")); out$sigma <- sigma(m); out$loglik <- as.numeric(logLik(m)); out$singular <- isSingular(m, 1e-9)
  vc <- as.data.frame(VarCorr(m)); out$varcorr <- vc[c("grp","var1","var2","vcov","sdcor")]
  if (REML) out$satt <- tryq({ co <- coef(summary(m)); unname(co[, "df"]) })
  if (REML && kr && N <= 800) out$kr <- tryq({
    V <- vcovAdj(m); p <- length(fixef(m)); dfs <- sapply(seq_len(p), function(j) { L <- rep(0, p); L[j] <- 1; Lb_ddf(L, vcov(m), V) })
    list(se = unname(sqrt(diag(as.matrix(V)))), df = dfs) })
  if (REML && cr2 && N <= 8000) out$cr2 <- tryq({
    m4 <- lme4::lmer(f, d, REML=TRUE, control=ctl)
    r <- ct(m4, vcovCR(m4, type = "CR2"), "Satterthwaite"); list(se = r$SE, df = r$df_Satt) })
  out
}
one <- function(c) {
  d <- read.csv(c$file, colClasses = NA, stringsAsFactors = FALSE)
  for (v in names(d)) if (is.character(d[[v]])) d[[v]] <- factor(d[[v]], levels = sort(unique(d[[v]]), method = "radix"))
  d$g__ <- factor(d[[c$group]]); N <- nrow(d); f <- as.formula(c$formula); out <- list(N = N, G = nlevels(d$g__))
  m <- lm(f, d); s <- summary(m)$coefficients
  out$lm <- list(terms = rownames(s), coef = s[,1], se = s[,2], p = s[,4])
  for (h in c("HC1","HC2","HC3")) out$lm[[h]] <- tryq(unname(sqrt(diag(sandwich::vcovHC(m, type = h)))))
  for (k in c("CR0","CR1","CR1S","CR2","CR3")) out$lm[[k]] <- tryq({
    V <- vcovCR(m, cluster = d$g__, type = k); r <- list(se = unname(sqrt(diag(V))))
    z <- ct(m, V, "z"); r$pz <- z$p_z; t <- ct(m, V, "naive-t"); r$pt <- t$p_t
    if (k == "CR2") { q <- ct(m, V, "Satterthwaite"); r$df <- q$df_Satt; r$p <- q$p_Satt }
    r })
  if (N <= 2500 && nlevels(d$g__) <= 170) out$fe <- tryq({
    fit <- lm(update(f, . ~ . + g__), d); keep <- setdiff(names(coef(fit))[!is.na(coef(fit))], c("(Intercept)", grep("^g__", names(coef(fit)), value = TRUE)))
    # drop between-level columns (aliased choices): keep the ones varying within
    X <- model.matrix(m); w <- apply(X, 2, function(x) any(abs(x - ave(x, d$g__)) > 1e-9)); keep <- intersect(keep, colnames(X)[w])
    V1 <- vcovCR(fit, cluster = d$g__, type = "CR1S"); V <- vcovCR(fit, cluster = d$g__, type = "CR2"); q <- ct(fit, V, "Satterthwaite")
    i <- match(keep, rownames(q)); list(terms = keep, coef = unname(coef(fit)[keep]), se = unname(sqrt(diag(vcov(fit)))[keep]), sigma = sigma(fit),
      CR1S = unname(sqrt(diag(as.matrix(V1)))[match(keep, rownames(V1))]), CR2 = q$SE[i], df = q$df_Satt[i]) })
  ri <- update(f, . ~ . + (1 | g__))
  out$ri <- tryq(mixed(ri, d, TRUE, N)); out$ri_ml <- tryq(mixed(ri, d, FALSE, N))
  if (!is.null(c$random)) {
    bar <- if (isTRUE(c$diag)) paste0("(", c$random, " || g__)") else paste0("(", c$random, " | g__)")
    out$rs <- tryq(mixed(as.formula(paste(c$formula, "+", bar)), d, TRUE, N))
    if (!isTRUE(c$diag)) out$rs_ml <- tryq(mixed(as.formula(paste(c$formula, "+", bar)), d, FALSE, N))
  }
  if (!is.null(c$subgroup)) { d$c__ <- interaction(d$g__, d[[c$subgroup]], drop = TRUE)
    out$nest <- tryq(mixed(as.formula(paste(c$formula, "+ (1|c__) + (1|g__)")), d, TRUE, N, kr = FALSE, cr2 = FALSE)) }
  out$lme <- tryq({ l <- lme(f, random = ~1 | g__, data = d, control = lmeControl(tolerance = 1e-10, msTol = 1e-10)); t <- summary(l)$tTable
    list(terms = rownames(t), se = t[, 2], df = t[, 3]) })
  o <- order(d$g__); dd <- d[o, ]
  out$gee <- tryq({ sink("/dev/null"); on.exit(while (sink.number() > 0) sink()); X <- model.matrix(f, dd); yy <- dd[[all.vars(f)[1]]]; ms <- sd(yy)
    gg <- gee::gee(I(yy) ~ X - 1, id = as.integer(dd$g__), corstr = "exchangeable", tol = 1e-13, maxiter = 200)
    rho <- gg$working.correlation[1, 2]; b <- coef(gg); M <- 0; S <- 0; Smd <- 0; e <- yy - X %*% b; Xs <- split(seq_len(N), dd$g__)
    for (i in Xs) { n <- length(i); R <- diag(1 - rho, n) + rho; M <- M + t(X[i,,drop=FALSE]) %*% solve(R, X[i,,drop=FALSE]) }
    Mi <- solve(M); for (i in Xs) { n <- length(i); x <- X[i,,drop=FALSE]; R <- diag(1 - rho, n) + rho; W <- solve(R); H <- x %*% Mi %*% t(x) %*% W
      S <- S + tcrossprod(t(x) %*% W %*% e[i]); Smd <- Smd + tcrossprod(t(x) %*% W %*% solve(diag(n) - H, e[i])) }
    list(coef = unname(b), rho = rho, se = unname(sqrt(diag(gg$robust.variance))), se_dense = unname(sqrt(diag(Mi %*% S %*% Mi))), se_md = unname(sqrt(diag(Mi %*% Smd %*% Mi)))) })
  while (sink.number() > 0) sink()
  out
}
for (n in want) { t0 <- proc.time()[3]
  r <- one(cases[[n]]); write_json(r, paste0("out/", n, ".json"), digits = NA, auto_unbox = FALSE, null = "null", na = "null"); cat(n, round(proc.time()[3] - t0, 1), "s\n") }
