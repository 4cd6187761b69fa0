"""The version of a package at which a measure moved: a virtual environment a version, the same data sets in each."""
