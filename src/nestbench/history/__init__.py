"""Measures of a study over the commits of a project: a small file, the steps in it, a figure."""
