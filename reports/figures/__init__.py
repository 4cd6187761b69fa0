"""Figures: one function a kind, each returning an Altair chart."""
