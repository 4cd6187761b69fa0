"""Names that columns of results have: those that packages document, and those that people give.

Documented: rsimsum's data sets (`dataset, b, se, method, par`), siman's (`rep, dgm, target, method, estimate, se, df,
lci, uci, p, true`), simhelpers' (`est, var, p_val, lower_bound, upper_bound, true_param`), SimDesign's
(`REPLICATION`), broom's (`std.error, conf.low, p.value`), and this package's stored rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ESTIMATE, SE, VARIANCE, LOWER, UPPER = "estimate", "se", "variance", "lower", "upper"
DF, P, TRUTH = "df", "p", "truth"
METHOD, TERM, REPLICATION, STATUS, MESSAGE = "method", "term", "replication", "status", "message"

NUMBERS = (ESTIMATE, SE, VARIANCE, LOWER, UPPER, DF, P, TRUTH)
"""Roles whose columns hold numbers."""

ROLES = (*NUMBERS, METHOD, TERM, REPLICATION, STATUS, MESSAGE)
"""What a column can be; every other one is a factor, or is left out."""

_WORDS = {
    ESTIMATE: "estimate,est,thetahat,betahat,estimates,pointestimate,coefficient,coef,theta,b,beta,value",
    SE: "se,stderror,standarderror,stderr,seestimate,seest,sethetahat,setheta,sebetahat,sebeta,seb,sehat,modelse",
    VARIANCE: "variance,var,varest,varestimate,vartheta,varthetahat",
    LOWER: "lower,lowerbound,lci,cilower,conflow,cilow,lowerci,lcl,ll,lb,low,confintlower,lowerlimit,cil",
    UPPER: "upper,upperbound,uci,ciupper,confhigh,cihigh,upperci,ucl,ul,ub,high,confintupper,upperlimit,ciu",
    DF: "df,dof,ddf,denomdf,dendf,dfs,dfresidual",
    P: "pvalue,pval,p,pvalues,pvals,probt",
    TRUTH: "truth,true,truevalue,trueparam,trueparameter,trueeffect,thetatrue,truetheta,trueestimate,trueest",
    METHOD: "method,methods,estimator,estimators,model,analysis,approach,technique,procedure,test",
    TERM: "term,target,estimand,parameter,param,par,coefficient,coef,effect,variable",
    REPLICATION: "replication,rep,repno,repetition,replicate,replications,dataset,datasetid,datasetno,iteration,iter,"
    "sim,simulation,simid,simno,repid,repnumber,idrep,i",
    STATUS: "status,converged,convergence,conv,failed,fail,failure,error,errors,success,ok,valid,convcode",
    MESSAGE: "message,messages,msg,errormessage,errormsg,reason",
}
NAMES: Mapping[str, tuple[str, ...]] = {role: tuple(words.split(",")) for role, words in _WORDS.items()}
"""Role -> folded names, the first that occurs is taken."""

_NUMBERING = (
    "cell,condition,conditions,dgm,dgmid,scenario,scenarioid,design,designid,designrow,setting,settingid,conditionid,"
    "cellid,row,rowid,id,rownumber,case,seed,seeds"
)
INDICES = frozenset(_NUMBERING.split(","))
"""Folded names of columns that number the conditions."""

STUBS: Mapping[str, tuple[str, ...]] = {
    ESTIMATE: ("estimate", "est", "thetahat", "theta_hat", "theta", "coef", "beta", "b"),
    SE: ("se", "std_error", "std.error", "stderr", "std_err"),
    DF: ("df",),
    LOWER: ("lower", "lci", "ci_lower", "conf.low", "lower_bound"),
    UPPER: ("upper", "uci", "ci_upper", "conf.high", "upper_bound"),
    P: ("p_value", "p.value", "pval", "p"),
    TRUTH: ("true", "truth"),
}
"""What names of columns begin or end with where methods or terms stand side by side."""


def folded(name: Any) -> str:
    """Return a name without case, blanks and marks: ``Std. Error`` is ``stderror``."""
    return "".join(sign for sign in str(name).casefold() if sign.isalnum())
