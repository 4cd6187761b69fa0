"""Results of any simulation study, read from a table into a run."""
