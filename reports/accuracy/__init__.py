"""Accuracy as a regression test: baselines, checks, evidence for assertions."""
