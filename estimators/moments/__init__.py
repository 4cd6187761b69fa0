"""A data set as its schools' cross-products: what every fast engine works on."""
