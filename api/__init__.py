"""nestbench: which method to trust on nested data, with known effects and stated Monte Carlo error."""

__version__ = "0.1.0"
