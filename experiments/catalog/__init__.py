"""Experiments that ship with nestbench, one TOML each."""
