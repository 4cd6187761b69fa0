"""Experiments as data: read, plan, execute, store."""
