"""Laws of nested data, and the observed data sets drawn from them."""
