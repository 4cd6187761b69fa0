"""Numba kernels: plain scalar loops that read like the formula."""
