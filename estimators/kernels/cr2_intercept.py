r"""CR2 standard errors and Satterthwaite df of random-intercept fits: `cr2_gls` in a basis in which V is diagonal.

With Q = [1/sqrt(n), Q_w] of a school, Q_w an orthonormal basis of its columns of X less their means, A_w = E w E' their
cross-product, Q'X = [s'/sqrt(n); w^(1/2) E'] (s the column sums) and

    Q'V_gQ = Lambda = diag(1 + n theta^2, 1, ..., 1),   B = Lambda (I - H) Lambda,   H = Lambda^(-1/2) Q'X C X'Q
    Lambda^(-1/2),

so that the one decomposition that depends on theta is that of B, of as many dimensions as columns vary within the
school and one. Columns that are constant in schools add none. Q_w depends on X alone: of data sets on the same design
it is made once.

Schools are taken `LANES` at a time, side by side (`lanes`): the last axis of what is called a lane's below is of them.
Where a school has fewer dimensions than another the rows of Q'X are 0 there: B is that of an identity, and nothing is
added.

Source: as `cr2_gls`, whose notation this is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nestbench.estimators.kernels.cr2_design import describe, design_for
from nestbench.estimators.kernels.cr2_gls import DETERMINED, working_df
from nestbench.estimators.kernels.designs import most_schools, same_design
from nestbench.estimators.kernels.lanes import LANES, add_product, eigen_lanes
from nestbench.estimators.kernels.linalg import multiply
from nestbench.sim.compiled import kernel
from nestbench.sim.observed.batch import Floats, Ints


class Room(NamedTuple):
    """Scratch for a block of lanes.

    Attributes
    ----------
    ratio, root : [lanes]
        1 + n theta^2 and its root.
    left : [k, p, lanes]
        Lambda^(-1/2) Q'X.
    b, e : [k, k, lanes]
        B, of which eigenvalues are left, and its eigenvectors.
    power : [k, lanes]
        The eigenvalues of B to the -1/2; 0 in a direction without information.
    score, qe : [k, lanes]
        1'e and X'e; Q'e.
    u, m : [k, lanes]
        Of a contrast: Lambda^(-1/2) Q'X C l, and Q'V^-1 A X C l.
    xm : [p, lanes]
        X'm.
    work : [4, lanes]
    """

    ratio: Floats
    root: Floats
    left: Floats
    b: Floats
    e: Floats
    power: Floats
    score: Floats
    qe: Floats
    u: Floats
    m: Floats
    xm: Floats
    work: Floats


@kernel
def room_for(p: int, lanes: int) -> Room:
    """Return scratch for p columns."""
    k = p + 1
    return Room(
        np.empty(lanes),
        np.empty(lanes),
        np.empty((k, p, lanes)),
        np.empty((k, k, lanes)),
        np.empty((k, k, lanes)),
        np.empty((k, lanes)),
        np.empty((k, lanes)),
        np.empty((k, lanes)),
        np.empty((k, lanes)),
        np.empty((k, lanes)),
        np.empty((p, lanes)),
        np.empty((4, lanes)),
    )


@kernel
def decompose(c: Floats, theta2: float, k: int, lanes: int, size: Floats, span: Floats, room: Room) -> None:
    """Write Lambda^(-1/2) Q'X, the eigenvectors of B and its eigenvalues to the -1/2 to `room`.

    Parameters
    ----------
    c : float64 [p, p]
    theta2 : float
        theta^2.
    k, lanes : int
        Dimensions; schools in the block.
    size, span
        A block of `Design`.
    """
    p, b, left, work = len(c), room.b, room.left, room.work
    for at in range(lanes):
        room.ratio[at] = 1.0 + size[at] * theta2
        room.root[at] = math.sqrt(room.ratio[at])
    for i in range(k):
        for a in range(p):
            for at in range(lanes):
                left[i, a, at] = span[i, a, at] / room.root[at] if i == 0 else span[i, a, at]
    for i in range(k):
        for j in range(i + 1):
            b[j, i, :] = 1.0 if i == j else 0.0
        for a in range(p):
            work[0, :] = 0.0
            for h in range(p):
                add_product(c[a, h], left[i, h], lanes, work[0])
            for j in range(i + 1):
                for at in range(lanes):
                    b[j, i, at] -= left[j, a, at] * work[0, at]
        for at in range(lanes):
            b[0, i, at] *= room.ratio[at]
    for at in range(lanes):
        b[0, 0, at] *= room.ratio[at]
    eigen_lanes(b, k, lanes, room.e, work[0], work[1])
    invert(k, lanes, room)


@kernel
def invert(k: int, lanes: int, room: Room) -> None:
    """Write the eigenvalues of B, in its diagonal, to the -1/2; 0 of x where x'Bx / |Lambda x|^2 of I - H vanishes."""
    b, e, length = room.b, room.e, room.work[0]
    for h in range(k):
        length[:] = 0.0
        for i in range(k):
            for at in range(lanes):
                x = e[i, h, at] * room.ratio[at] if i == 0 else e[i, h, at]
                length[at] += x * x
        for at in range(lanes):
            value = b[h, h, at]
            room.power[h, at] = 1.0 / math.sqrt(value) if value > DETERMINED * length[at] else 0.0


@kernel
def contrast(lc: Floats, k: int, lanes: int, span: Floats, room: Room) -> None:
    """Write u, m and X'm of a contrast times C, `lc` [p], to `room`."""
    p, u, m, e, along = len(lc), room.u, room.m, room.e, room.work[0]
    for i in range(k):
        u[i, :] = 0.0
        m[i, :] = 0.0
        for a in range(p):
            add_product(lc[a], room.left[i, a], lanes, u[i])
    for h in range(k):
        along[:] = 0.0
        for i in range(k):
            for at in range(lanes):
                along[at] += u[i, at] * e[i, h, at]
        for at in range(lanes):
            along[at] *= room.power[h, at]
        for i in range(k):
            for at in range(lanes):
                m[i, at] += along[at] * e[i, h, at]
    for at in range(lanes):
        m[0, at] *= room.root[at]
    for a in range(p):
        room.xm[a, :] = 0.0
        for i in range(k):
            for at in range(lanes):
                room.xm[a, at] += span[i, a, at] * m[i, at]


@kernel
def residual_scores(cross: Floats, x: Ints, beta: Floats, score: Floats) -> None:
    """Write 1'e and X'e of some schools to the first lanes of `score` [1 + p, lanes]."""
    p, y = len(x), cross.shape[1] - 1
    for g in range(len(cross)):
        total = cross[g, 0, y]
        for j in range(p):
            total -= cross[g, 0, x[j]] * beta[j]
        score[0, g] = total
        for i in range(p):
            total = cross[g, x[i], y]
            for j in range(p):
                total -= cross[g, x[i], x[j]] * beta[j]
            score[1 + i, g] = total


@kernel
def turn_scores(k: int, lanes: int, back: Floats, room: Room) -> None:
    """Write Q'e to `room`."""
    wide = back.shape[1]
    for i in range(k):
        room.qe[i, :] = 0.0
        for j in range(wide):
            for at in range(lanes):
                room.qe[i, at] += back[i, j, at] * room.score[j, at]


@kernel
def squared_scores(lc: Floats, theta2: float, k: int, lanes: int, sums: Floats, room: Room) -> float:
    """Return the sum over lanes of the squared scores l'C X'V^-1 A e of the contrast that `room` is of."""
    p, value, through = len(lc), room.work[0], room.work[1]
    value[:] = 0.0
    for at in range(lanes):
        through[at] = theta2 / room.ratio[at] * room.score[0, at]
    for a in range(p):
        for at in range(lanes):
            # X'V^-1 e, the part that needs no root: exact also where a direction is thin.
            value[at] += lc[a] * (room.score[1 + a, at] - sums[a, at] * through[at])
    for i in range(k):
        for at in range(lanes):
            plain = room.u[i, at] / room.root[at] if i == 0 else room.u[i, at]
            value[at] += (room.m[i, at] - plain) * room.qe[i, at]
    total = 0.0
    for at in range(lanes):
        total += value[at] * value[at]
    return total


@kernel
def add_working(c: Floats, k: int, lanes: int, room: Room, spread: Floats, moment: Floats) -> None:
    """Add the parts of tr(P) and tr(P^2) to `spread` [2, lanes] and `moment` [p, p, lanes], the lower triangle: as
    `cr2_gls.add_working`, V being diagonal."""
    p, working, fitted, row = len(c), room.work[0], room.work[1], room.work[2]
    fitted[:] = 0.0
    for at in range(lanes):
        working[at] = room.m[0, at] * room.m[0, at] * room.ratio[at]
    for i in range(1, k):
        for at in range(lanes):
            working[at] += room.m[i, at] * room.m[i, at]
    for i in range(p):
        for at in range(lanes):
            row[at] = c[i, i] * room.xm[i, at]
        for j in range(i):
            add_product(2.0 * c[i, j], room.xm[j], lanes, row)
        for at in range(lanes):
            fitted[at] += row[at] * room.xm[i, at]
        for j in range(i + 1):
            for at in range(lanes):
                moment[i, j, at] += room.xm[i, at] * room.xm[j, at]
    for at in range(lanes):
        spread[0, at] += working[at] - fitted[at]
        spread[1, at] += working[at] * (working[at] - 2.0 * fitted[at])


@kernel
def add_lanes(spread: Floats, moment: Floats, spread_all: Floats, moment_all: Floats) -> None:
    """Write the sums over lanes of what `add_working` has added to `spread_all` [2] and `moment_all` [p, p]."""
    for i in range(2):
        total = 0.0
        for at in range(spread.shape[1]):
            total += spread[i, at]
        spread_all[i] = total
    for i in range(moment.shape[0]):
        for j in range(i + 1):
            total = 0.0
            for at in range(moment.shape[2]):
                total += moment[i, j, at]
            moment_all[i, j] = moment_all[j, i] = total


@kernel
def cr2_intercept(
    cross: Floats, offsets: Ints, x: Ints, contrasts: Floats, theta: Floats, beta: Floats, unscaled: Floats,
    sigma2: Floats, variance: Floats, df: Floats,
) -> None:  # fmt: skip
    """Write CR2 variances and df [R, K] of contrasts [R, K, p] of random-intercept fits.

    Parameters
    ----------
    cross, offsets, x, contrasts
        As in `SchoolMoments`.
    theta, beta, unscaled, sigma2
        Of `MixedFits`; fits whose sigma2 is NaN are passed over.
    variance, df : float64 [R, K]
        Written; the variance is not in units of sigma^2, for the residuals have theirs.
    """
    p, terms, most = len(x), contrasts.shape[1], most_schools(offsets)
    # Of fewer schools there is one block whatever its width: no number depends on the other data sets' schools.
    width = min(LANES, most)
    design, room = design_for(most, p, width), room_for(p, width)
    known, k, used = -1, 0, np.unique(np.append(x, 0))
    spread, moment = np.empty((terms, 2, width)), np.empty((terms, p, p, width))
    lc, spread_all, moment_all = np.empty((terms, p)), np.empty(2), np.empty((p, p))
    for r in range(len(offsets) - 1):
        if math.isnan(sigma2[r]):
            continue
        schools, theta2 = cross[offsets[r] : offsets[r + 1]], theta[r, 0] ** 2
        if not (known >= 0 and known == r - 1 and same_design(cross, offsets, used, r)):
            k = describe(schools, x, design)
        known = r
        multiply(contrasts[r], unscaled[r], lc)
        spread[:] = 0.0
        moment[:] = 0.0
        variance[r, :] = 0.0
        for block in range(-(-len(schools) // width)):
            own = schools[block * width : (block + 1) * width]
            lanes, span = len(own), design.span[block]
            decompose(unscaled[r], theta2, k, lanes, design.size[block], span, room)
            residual_scores(own, x, beta[r], room.score)
            turn_scores(k, lanes, design.back[block], room)
            for t in range(terms):
                contrast(lc[t], k, lanes, span, room)
                variance[r, t] += squared_scores(lc[t], theta2, k, lanes, design.sums[block], room)
                add_working(unscaled[r], k, lanes, room, spread[t], moment[t])
        for t in range(terms):
            add_lanes(spread[t], moment[t], spread_all, moment_all)
            df[r, t] = working_df(unscaled[r], spread_all, moment_all)
