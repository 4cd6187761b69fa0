"""The numbers: draws, statistics, measures with Monte Carlo errors, the performance table."""
