"""Methods side by side: paired contrasts, ranking, grades, decomposition, runs against runs, published numbers."""
