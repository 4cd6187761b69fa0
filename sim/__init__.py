"""Data-generating mechanisms for nested data, and the observed data sets drawn from them."""
