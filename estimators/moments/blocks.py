"""Sums of products over rows, in register-sized blocks: the only loops whose sums may be reassociated.

Four columns against four share every load and keep sixteen independent sums in flight, which is worth a
factor of four to eight over one dot product after the other. Loops of few sums run over slices, from 0: over
a range that begins elsewhere numba makes code several times slower; the blocks are vectorised either way.
"""

from __future__ import annotations

from nestbench.sim.compiled import accumulate, kernel
from nestbench.sim.observed.batch import Floats


@kernel
def cross_product(w: Floats, first: int, last: int, out: Floats) -> None:
    """Write W'W over rows ``first : last`` to `out` [d, d], both triangles; ``w[0]`` is known to be the constant 1.

    `w` [at least d, rows] holds columns as rows.
    """
    d = out.shape[0]
    out[0, 0] = last - first
    whole = d - (d - 1) % 4
    for i in range(1, whole, 4):
        _diagonal_block(w, i, first, last, out)
        for j in range(1, i, 4):
            _block(w, i, j, first, last, out)
    for i in range(whole, d):
        out[i, 0] = total(w[i], first, last)
        for j in range(1, whole, 4):
            _row(w, i, j, first, last, out)
        for j in range(whole, i + 1):
            out[i, j] = dot(w[i], w[j], first, last)
    for i in range(d):
        for j in range(i):
            out[j, i] = out[i, j]


@accumulate
def total(values: Floats, first: int, last: int) -> float:
    """Return the sum of ``values[first : last]``."""
    part = values[first:last]
    result = 0.0
    for k in range(len(part)):
        result += part[k]
    return result


@accumulate
def dot(a: Floats, b: Floats, first: int, last: int) -> float:
    """Return the sum of products over rows ``first : last``."""
    left, right = a[first:last], b[first:last]
    result = 0.0
    for k in range(len(left)):
        result += left[k] * right[k]
    return result


@accumulate
def _diagonal_block(w: Floats, i: int, first: int, last: int, out: Floats) -> None:
    """Columns i .. i + 3 with themselves and the constant."""
    a, b, c, d = w[i], w[i + 1], w[i + 2], w[i + 3]
    sa = sb = sc = sd = 0.0
    aa = ab = ac = ad = bb = bc = bd = cc = cd = dd = 0.0
    for k in range(first, last):
        p, q, r, s = a[k], b[k], c[k], d[k]
        sa += p
        sb += q
        sc += r
        sd += s
        aa += p * p
        ab += p * q
        ac += p * r
        ad += p * s
        bb += q * q
        bc += q * r
        bd += q * s
        cc += r * r
        cd += r * s
        dd += s * s
    out[i, 0], out[i + 1, 0], out[i + 2, 0], out[i + 3, 0] = sa, sb, sc, sd
    out[i, i], out[i + 1, i], out[i + 2, i], out[i + 3, i] = aa, ab, ac, ad
    out[i + 1, i + 1], out[i + 2, i + 1], out[i + 3, i + 1] = bb, bc, bd
    out[i + 2, i + 2], out[i + 3, i + 2], out[i + 3, i + 3] = cc, cd, dd


@accumulate
def _block(w: Floats, i: int, j: int, first: int, last: int, out: Floats) -> None:
    """Columns i .. i + 3 with columns j .. j + 3."""
    a, b, c, d = w[j], w[j + 1], w[j + 2], w[j + 3]
    e, f, g, h = w[i], w[i + 1], w[i + 2], w[i + 3]
    ea = eb = ec = ed = fa = fb = fc = fd = 0.0
    ga = gb = gc = gd = ha = hb = hc = hd = 0.0
    for k in range(first, last):
        p, q, r, s = a[k], b[k], c[k], d[k]
        x = e[k]
        ea += x * p
        eb += x * q
        ec += x * r
        ed += x * s
        x = f[k]
        fa += x * p
        fb += x * q
        fc += x * r
        fd += x * s
        x = g[k]
        ga += x * p
        gb += x * q
        gc += x * r
        gd += x * s
        x = h[k]
        ha += x * p
        hb += x * q
        hc += x * r
        hd += x * s
    out[i, j], out[i, j + 1], out[i, j + 2], out[i, j + 3] = ea, eb, ec, ed
    out[i + 1, j], out[i + 1, j + 1], out[i + 1, j + 2], out[i + 1, j + 3] = fa, fb, fc, fd
    out[i + 2, j], out[i + 2, j + 1], out[i + 2, j + 2], out[i + 2, j + 3] = ga, gb, gc, gd
    out[i + 3, j], out[i + 3, j + 1], out[i + 3, j + 2], out[i + 3, j + 3] = ha, hb, hc, hd


@accumulate
def _row(w: Floats, i: int, j: int, first: int, last: int, out: Floats) -> None:
    """Column i with columns j .. j + 3."""
    a, b, c, d = w[j, first:last], w[j + 1, first:last], w[j + 2, first:last], w[j + 3, first:last]
    x = w[i, first:last]
    xa = xb = xc = xd = 0.0
    for k in range(len(x)):
        v = x[k]
        xa += v * a[k]
        xb += v * b[k]
        xc += v * c[k]
        xd += v * d[k]
    out[i, j], out[i, j + 1], out[i, j + 2], out[i, j + 3] = xa, xb, xc, xd
