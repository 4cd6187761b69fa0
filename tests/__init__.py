"""Tests of nestbench; see README.md here for where a test goes."""
